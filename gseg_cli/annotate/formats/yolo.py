"""YOLO's labels: a text file per picture, a line per shape, and the names of the classes in data.yaml or classes.txt.

A line is the number of a class and a polygon, or the middle and the size of a box, in shares of the picture's width and
height. Shapes are painted in the order of the file. The layouts of Ultralytics (labels/train/) and Roboflow
(train/labels/) differ in folders alone.
"""

from collections.abc import Iterable

from gseg_cli.annotate.class_table import NAMES as TABLES
from gseg_cli.annotate.documents import MAX_VALUES
from gseg_cli.annotate.drawing import Drawing, Layer, Reading, TooMuchError, no_picture
from gseg_cli.annotate.fields import HINT, check_count, check_number, check_polygon, check_text, check_whole, points_of
from gseg_cli.annotate.shapes import Polygon, Shape, rectangle
from gseg_cli.annotate.source_files import Files, base_name
from gseg_runtime.errors import GsegError
from gseg_runtime.pip_hint import install

_NAME_LISTS = ("classes.txt", "obj.names")
_MAX_YAML = 2**20  # bytes
_MAX_DEPTH = 100  # of lists and objects in one another
_MAX_CLASSES = 10_000
_FARTHEST = 2.0  # shares; shapes may reach over the edge, pixels are far more
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif")


def label_files(files: Files) -> list[str]:
    """Those in folders called labels, else all that look so; none when they do not."""
    texts = [name for name in files.named(".txt") if base_name(name) not in (*_NAME_LISTS, *TABLES)]
    texts = [name for name in texts if not base_name(name).lower().startswith("readme")]
    found = [name for name in texts if "labels" in name.split("/")[:-1]]
    if found:
        filled = next((words for name in found[:100] if (words := _first_words(files, name))), [])
        return found if _is_shape(filled) else []
    return [name for name in texts if _is_shape(_first_words(files, name))]  # beside lists of pictures, in Darknet's


def _first_words(files: Files, name: str) -> list[bytes]:
    return files.read(name)[:1000].split(b"\n", 1)[0].split()


def _is_shape(words: list[bytes]) -> bool:
    return len(words) >= 5 and all(map(_is_number, words[:5]))


def read_yolo(files: Files, names: list[str], reading: Reading) -> None:
    classes = _classes(files)
    reading.listed += [name for _, name in sorted(classes.items())]
    num_values = 0
    for name in names:
        with reading.attempt():
            where, data = files.where(name), files.read(name)
            num_values += data.count(b" ")
            if num_values > MAX_VALUES:
                raise TooMuchError(f"{where}: too much to read: more than {MAX_VALUES} values", "simplify the shapes")
            lines = [line for line in data.decode("utf-8-sig", "replace").splitlines() if line.strip()]
            reading.check_amount(None, len(lines), 0, where)
            layers = [_layer_of(line, classes, f"{where}: line {row}") for row, line in enumerate(lines, 1)]
            stem = name[: -len(".txt")]
            picture = next((base_name(stem) + end for end in _PICTURES if files.find(base_name(stem) + end)), None)
            seen = files.picture(picture) if picture else no_picture
            reading.add(Drawing(where, (stem,), None, layers, seen, is_share=True))


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _layer_of(line: str, classes: dict[int, str], where: str) -> Layer:
    words = line.split()
    number = check_whole(words[0], where)
    if number not in classes:
        raise GsegError(f"{where}: class {number}, but {len(classes)} have a name", HINT)
    return Layer(classes[number], _shape_of(words[1:], where))


def _shape_of(words: list[str], where: str) -> Shape:
    if len(words) % 2:
        message = f"{where}: expected x and y of each point, got {len(words)} numbers"
        raise GsegError(message, "export it again, without confidences")
    check_count(len(words) // 2, where)
    if any(abs(check_number(word, where)) > _FARTHEST for word in words):
        raise GsegError(f"{where}: expected shares of the width and height, from 0 to 1", HINT)
    if len(words) == 4:
        x, y, width, height = map(float, words)
        return rectangle((x - width / 2, y - height / 2), (width, height))
    return Polygon((check_polygon(points_of(list(words), where), where),))


def _classes(files: Files) -> dict[int, str]:
    """Names by number."""
    tables = sorted(files.named(".yaml", ".yml"), key=lambda name: base_name(name) != "data.yaml")
    if tables and (base_name(tables[0]) == "data.yaml" or len(tables) == 1):
        return _of_yaml(files.read(tables[0]), files.where(tables[0]))
    lists = [name for name in files.names if base_name(name) in _NAME_LISTS]
    if not lists:
        hint = "give the folder or zip that holds the labels and data.yaml or classes.txt"
        raise GsegError(f"{files.root}: YOLO labels, but no data.yaml or classes.txt that names their classes", hint)
    lines = files.read(lists[0]).decode("utf-8-sig", "replace").splitlines()[:_MAX_CLASSES]
    named = [line.strip() for line in lines if line.strip()]
    return {index: check_text(name, files.where(lists[0])) for index, name in enumerate(named)}


def _of_yaml(data: bytes, where: str) -> dict[int, str]:
    """The key names: a list, or an object by number."""
    content = _parse_yaml(data, where)
    if isinstance(content, dict) and "kpt_shape" in content:  # a box, then points: a polygon to whoever does not know
        raise GsegError(f"{where}: labels of poses (kpt_shape), whose points cannot be filled", "export polygons")
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not 1 <= len(names) <= _MAX_CLASSES:
        raise GsegError(f"{where}: expected the names of the classes at names", HINT)
    return {
        check_whole(number, f"{where}: names"): check_text(str(name), f"{where}: names")
        for number, name in names.items()
    }


def _parse_yaml(data: bytes, where: str) -> object:
    """GsegError when it is large, deep or broken, or has aliases: a few lines of them can stand for gigabytes."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise GsegError(f"{where}: needs PyYAML to be read", install("annotate")) from error
    if len(data) > _MAX_YAML:
        raise GsegError(f"{where}: more than {_MAX_YAML // 2**20} MiB", HINT)
    try:
        text = data.decode("utf-8-sig")
        _check_tokens((type(token).__name__ for token in yaml.scan(text)), where)
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise GsegError(f"{where}: not valid YAML: {reason}", "export it again") from error


def _check_tokens(kinds: Iterable[str], where: str) -> None:
    """Each level costs PyYAML time at every token: some hundred kB of brackets would take days."""
    depth = 0
    for kind in kinds:
        depth += kind.endswith("StartToken") - kind.endswith("EndToken")
        if kind == "AliasToken" or depth > _MAX_DEPTH:
            what = "has aliases" if kind == "AliasToken" else "nested too deeply"
            raise GsegError(f"{where}: {what}", "no annotation tool writes them so; do not trust this file")

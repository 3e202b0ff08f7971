"""The project's classes as labels of a labelling program, in its own words, so that nobody types names and colours."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from gseg_cli.choices import Tool
from gseg_runtime.class_map import IGNORE_COLOR, IGNORED, ClassMap, Color, format_color
from gseg_runtime.files import write_text

Labels = list[tuple[str, Color]]


@dataclass(frozen=True)
class LabelSet:
    """file: how it is called; text: its content for some labels; use: what to do with it."""

    file: str
    text: Callable[[Labels], str]
    use: str


def write_label_set(tool: Tool, classes: ClassMap, folder: Path) -> tuple[Path, str]:
    """The file, and in words what to do with it."""
    chosen = LABEL_SETS[tool]
    path = folder / chosen.file
    write_text(path, chosen.text(labels_of(classes)))
    return path, chosen.use.format(path=path)


def labels_of(classes: ClassMap) -> Labels:
    """All classes, and one more for what must not count."""
    return [*zip(classes.names, classes.colors, strict=True), (IGNORED, IGNORE_COLOR)]


def _for_labelme(labels: Labels) -> str:
    """A configuration file. It is YAML, of which JSON is a part."""
    config = {
        "labels": [name for name, _ in labels],
        "sort_labels": False,
        "validate_label": "exact",
        "shape_color": "manual",
        "label_colors": {name: list(color) for name, color in labels},
    }
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def _for_cvat(labels: Labels) -> str:
    rows = [{"name": name, "color": format_color(color), "type": "any", "attributes": []} for name, color in labels]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def _for_label_studio(labels: Labels) -> str:
    """A labelling interface, for polygons and for the brush."""
    rows = [f"    <Label value={quoteattr(name)} background={quoteattr(format_color(c))}/>" for name, c in labels]
    parts = [
        "\n".join([f'  <{kind}Labels name="{kind.lower()}" toName="image">', *rows, f"  </{kind}Labels>"])
        for kind in ("Polygon", "Brush")
    ]
    return "\n".join(["<View>", '  <Image name="image" value="$image" zoom="true"/>', *parts, "</View>"]) + "\n"


LABEL_SETS: Mapping[Tool, LabelSet] = {
    "labelme": LabelSet("labelme.yaml", _for_labelme, "start labelme with --config {path}"),
    "cvat": LabelSet("cvat.json", _for_cvat, "paste {path} into Raw, below Labels, when you make the task in CVAT"),
    "label-studio": LabelSet(
        "label-studio.xml", _for_label_studio, "paste {path} into Settings > Labeling Interface > Code in Label Studio"
    ),
}

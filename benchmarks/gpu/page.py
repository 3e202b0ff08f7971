"""DIR/README.md, from the cells in DIR and, where somebody wrote down what he saw, from DIR/notes.md."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.gans import figure6_cells, trained_figures
from gseg_cli.builtin import BY_SIZE
from gseg_runtime.files import read_json, write_text

Cell = dict[str, Any]
NOTES = "notes.md"

TEXT = """# On a GPU

{hardware}. Made by `python -m benchmarks.gpu`, commit {commit}, {date}.

## Tests

{tests}

## Training a GAN

`gseg gan-train` as it configures itself for a GPU: batch, widths, path length, lazy regularisers; mean of 16 steps, in
which every regulariser is due as often as it should be. Augmented: every transform with probability 0.2. Projected: by
the discriminator on features of ImageNet, in float32, kernel by kernel. Beside it the networks and losses of
stylegan2-ada-pytorch in a minimal loop, in plain PyTorch, without its compiled operations.

{gan_train}

## Teachers, pairs, students

With the GANs that come with gseg. Teachers of ten annotations in all their steps; pairs are generated, labelled and
written; a student's steps are those of its usual batch, with augmentation and loss. A second opinion is trained on ten
samples, and then looks at pairs.

{teaching}

`gseg demo`, the whole flow:

{demo}

## Segmenting photos

`gseg bench` on made-up JPEGs of a megapixel, masks at full size. Codecs: what decoding and encoding allow on these
cores. Engine: ONNX Runtime alone, batches from memory to memory.

{segment}

Milliseconds of two inferences of the default student at 128 px, of 1 picture, of 32, and of 1 and 32 by turns:

{batches}

TensorRT: {tensorrt}

## Longer training

{gans}

The ceiling: mean IoU on fresh toy faces of a student that learned 4,000 samples with the reference annotator's own
labels. What is missing then is what the GAN does not draw.

{ceilings}

{figure6}

{notes}
"""


def write_page(out: Path) -> str:
    cells = [read_json(path) for path in sorted((out / "cells").glob("*.json"))]
    if not cells:
        return "no figure yet"
    newest = max(cells, key=lambda cell: (cell["date"], cell["commit"]))
    parts = {
        "tests": _tests(_of(out, "tests")),
        "gan_train": _gan_train(_of(out, "gan-train")),
        "teaching": _teaching(out),
        "demo": _figures(_of(out, "demo")),
        "segment": _segment(_of(out, "segment")),
        "batches": _batches(_of(out, "batches")),
        "tensorrt": _tensorrt(_of(out, "tensorrt")),
        "gans": _gans(trained_figures(out)),
        "ceilings": _ceilings(_of(out, "ceiling")),
        "figure6": _figure6(out),
        "notes": (out / NOTES).read_text().strip() if (out / NOTES).is_file() else "",
    }
    text = TEXT.format(**{name: newest[name] for name in ("hardware", "commit", "date")}, **parts)
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    write_text(out / "README.md", text)
    return text


def _of(out: Path, name: str) -> list[Cell]:
    """The cells of a step, without those of another step whose name begins alike."""
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{12}}\.json")
    return [read_json(path) for path in sorted((out / "cells").iterdir()) if pattern.fullmatch(path.name)]


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    lines = [" | ".join(head), " | ".join(["---"] + ["---:"] * (len(head) - 1))]
    lines += [" | ".join("-" if value is None else str(value) for value in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _tests(cells: list[Cell]) -> str:
    if not cells:
        return "Not run by this command."
    f = cells[-1]["figures"]
    return f"`pytest -m gpu`: {f['passed']} passed, {f['failed'] + f['error']} failed, {f['skipped']} skipped."


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _gan_train(cells: list[Cell]) -> str:
    def key(cell: Cell) -> tuple[Any, ...]:
        return cell["config"]["resolution"], cell["config"]["precision"], cell["config"]["side"]

    found = {key(cell): cell["figures"] for cell in cells}
    rows = []
    for (resolution, precision, side), f in sorted(
        found.items(), key=lambda item: (item[0][0], item[0][1], item[0][2])
    ):
        theirs = found.get((resolution, precision, "stylegan2-ada-pytorch"))
        ratio = f["s_per_kimg"] / theirs["s_per_kimg"] if theirs and side == "gseg" else None
        seconds, memory = _number(f["s_per_kimg"], 2), _number(f["gib"], 1)
        rows.append((f"{side}, {precision}", resolution, f["batch"], seconds, memory, _number(ratio, 2)))
    return table(("", "pixels", "batch", "s/kimg", "GiB", "ratio"), rows)


def _teaching(out: Path) -> str:
    rows: list[tuple[Any, ...]] = []
    for cell in _of(out, "teacher"):
        rows.append(
            (f"teacher {cell['config']['model']}", cell["config"]["pixels"], "seconds", cell["figures"]["seconds"])
        )
    for cell in _of(out, "pairs"):
        rows.append(("pairs", cell["config"]["pixels"], "pairs/s", cell["figures"]["pairs_per_s"]))
    for cell in _of(out, "student"):
        c, f = cell["config"], cell["figures"]
        name = f"student {c['student']}, batch {f['batch']} of {f['input']} px, {c['precision']}"
        rows.append((name, c["pixels"], "steps/s", f["steps_per_s"]))
    for cell in _of(out, "opinion"):
        size, f = cell["config"]["pixels"], cell["figures"]
        rows.append(("second opinion, training", size, "seconds", f["seconds"]))
        rows.append(("second opinion, looking", size, "pairs/s", f["pairs_per_s"]))
    rows.sort(key=lambda row: (row[0], row[1]))
    return table(("", "pixels", "unit", "figure"), [(*row[:3], f"{row[3]:.1f}") for row in rows])


def _figures(cells: list[Cell]) -> str:
    if not cells:
        return "Not run."
    f = cells[-1]["figures"]
    return table(("", "figure"), [(name, f"{value:.3f}") for name, value in f.items()])


def _segment(cells: list[Cell]) -> str:
    rows = []
    for cell in sorted(cells, key=lambda c: (c["config"]["student"], c["config"]["pixels"], c["config"]["device"])):
        c, f = cell["config"], cell["figures"]
        name = f"{c['student']}, {c['precision']}, {c['device']}"
        codecs = 1e3 * f["workers"] / (f["decode_ms"] + f["encode_ms"])
        rates = [f"{value:.0f}" for value in (f["end_to_end"], f["bare"], codecs)]
        rows.append((name, c["pixels"], *rates, f"{f['of_bare']:.2f}", f"{f['of_ceiling']:.2f}"))
    head = ("student", "pixels", "folder, photos/s", "engine", "codecs", "folder / engine", "folder / what both allow")
    return table(head, rows)


def _batches(cells: list[Cell]) -> str:
    names = ("small", "large", "by_turns")
    rows = [(c["config"]["precision"], *(f"{c['figures'][name]:.1f}" for name in names)) for c in cells]
    return table(("precision", "1", "32", "by turns"), rows) if rows else "not run."


def _tensorrt(cells: list[Cell]) -> str:
    if not cells:
        return "not run."
    f = cells[-1]["figures"]
    return f"refused here, {f['refusal']} ({f['hint']})." if f["refusal"] else f"{f['end_to_end']:.0f} photos/s."


def _gans(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "No GAN was trained."
    names = ("name", "resolution", "batch", "precision", "channel_base", "r1_gamma", "kimg", "swd", "overfit")
    shown: Callable[[Any], Any] = lambda value: f"{value:.4g}" if isinstance(value, float) else value  # noqa: E731
    return table(names, [[shown(row.get(name)) for name in names] for row in rows])


def _ceilings(cells: list[Cell]) -> str:
    if not cells:
        return "Not run."
    order = sorted(cells, key=lambda c: (c["config"]["pixels"], c["config"]["gan"], c["config"]["kimg"]))
    rows = [
        (c["config"]["gan"], c["config"]["pixels"], c["config"]["kimg"], f"{c['figures']['miou']:.3f}") for c in order
    ]
    return table(("GAN", "pixels", "kimg", "ceiling"), rows)


def _figure6(out: Path) -> str:
    page = out / "figure6" / "figure6.md"
    if not page.is_file() or not figure6_cells(out):
        return ""
    return f"Figure 6 with the trained GAN of {next(iter(BY_SIZE))} px: [figure6](figure6/figure6.md)."

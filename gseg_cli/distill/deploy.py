"""A student checkpoint becomes a model file: its weights, its card, and the proof that both engines agree."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gseg_cli import __version__
from gseg_cli.checkpoint import parent_of
from gseg_cli.distill.student import KIND, load_student
from gseg_cli.runs import CHECKPOINT
from gseg_cli.steps import Say, ignore_say
from gseg_export.engine_file import Toolchain
from gseg_export.export import Options, check_export, export
from gseg_export.exported import Exported
from gseg_export.graph import LABELS, LOGITS
from gseg_export.to_onnx import from_network
from gseg_export.verification_images import held_out_pairs
from gseg_runtime.errors import UsageError
from gseg_runtime.geometry import FILL
from gseg_runtime.model_card import ModelCard, Parent


def export_student(
    checkpoint: Path,
    out: Path,
    options: Options | None = None,
    *,
    outputs: Sequence[str] = (LABELS, LOGITS),
    toolchain: Toolchain | None = None,
    say: Say = ignore_say,
) -> Exported:
    """Write the student in `checkpoint` as the ONNX file or the engine `out`.

    Verified on the run's held-out pairs where they are still there, unless `options` names photos. outputs: of the
    graph, LABELS first. Raises GsegError before any work when `out` exists (unless `options.overwrite`) or has
    another ending, and after it when export and PyTorch disagree; a file that was at `out` is then still there.
    """
    options = options or Options()
    check_export(checkpoint, out, options, toolchain)
    net, classes, meta = load_student(checkpoint)
    size, tile = net.config.input_size, meta.get("trained", {}).get("tile")
    if tile and LOGITS not in outputs:
        raise UsageError(f"{checkpoint}: its masks are joined from logits of tiles", "leave out --no-logits")
    options = replace(options, held_out=options.held_out or held_out_pairs(checkpoint.parent, size))
    parents = tuple(_parent(entry) for entry in [parent_of(checkpoint, KIND), *meta["parents"]])
    # The student was trained on squares; FILL is what surrounds a photo in them, in training as at run time.
    card = ModelCard(
        classes=classes, input_size=size, parents=parents, fill=FILL, quality=meta.get("quality", {}),
        notices=tuple(meta.get("notices", ())), resize="tiles" if tile else "letterbox", tile=tile,
        created_by=f"gseg {__version__}",
    )  # fmt: skip
    say(f"exporting {checkpoint} to {out}")
    return export(from_network(net, card, outputs), out, options, toolchain)


def _parent(entry: dict[str, str]) -> Parent:
    """A model is given away, so of a path it tells the name (and the run), not the folders of who made it."""
    path = Path(entry["path"])
    name = f"{path.parent.name}/{path.name}" if path.name == CHECKPOINT else path.name
    return Parent(entry["kind"], name.lstrip("/"), entry["sha256"])

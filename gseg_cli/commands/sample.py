"""gseg sample: images of the GAN to label."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gseg_cli.choices import Pick, Tool
from gseg_cli.fewshot.pick_config import PickConfig
from gseg_cli.options import DeviceOpt, GanOpt, OverwriteOpt, find_gan, is_given, open_project, project_dir
from gseg_runtime.errors import ProjectError, UsageError

if TYPE_CHECKING:
    from gseg_cli.fewshot.pick_stage import Picked
    from gseg_cli.gan.generator import Generator
    from gseg_cli.gan.sample_set import SampleSet
    from gseg_cli.project import Project

SEEDS, CANDIDATES = "0-15", "0-499"


def sample(
    context: typer.Context,
    gan: GanOpt = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="SEEDS",
            help="Seeds to draw or to pick from, as numbers and ranges: 0-9,12.",
            show_default=f"{SEEDS}, or {CANDIDATES} to pick from",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1, help="Pick this many of the seeds for labelling.", show_default=f"{PickConfig.count} with --pick"
        ),
    ] = None,
    pick: Annotated[
        Pick | None,
        typer.Option(
            help="Pick at random, pick samples that together represent all (diverse), or pick those the teacher is "
            "unsure of (uncertain); annotated samples are left out.",
            show_default=f"{PickConfig.way} with --count",
        ),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Teacher checkpoint for --pick uncertain.", show_default="the project's newest")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of --pick random.")] = PickConfig.seed,
    truncation_psi: Annotated[
        float, typer.Option(min=0, max=2, help="Truncation: 0 is the mean image, 1 keeps the GAN's full variety.")
    ] = PickConfig.truncation_psi,
    class_index: Annotated[
        int | None, typer.Option("--class", min=0, help="Class to draw, for a conditional GAN.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write to.", show_default="the project's samples/")
    ] = None,
    template: Annotated[
        bool, typer.Option("--template", help="Also write templates/, to paint label maps with any paint program.")
    ] = False,
    scale: Annotated[
        int | None,
        typer.Option(
            min=2, help="Also write enlarged/, the images so many times as large; templates are enlarged too."
        ),
    ] = None,
    labels_for: Annotated[
        Tool | None, typer.Option(help="Also write labels/, the project's classes as this program reads them.")
    ] = None,
    device: DeviceOpt = "auto",
    overwrite: OverwriteOpt = False,
) -> None:
    """Generate images to label.

    Writes one image per seed, with the latents that reproduce it. --count and --pick choose seeds worth labelling. A
    folder that holds samples of the same GAN is extended.
    """
    from gseg_cli.gan.seeds import parse_seeds

    how = _how_to_pick(pick, count, teacher, truncation_psi, seed if is_given(context, "seed") else None)
    seeds = (CANDIDATES if how else SEEDS) if seeds is None else seeds
    wanted = parse_seeds(seeds)  # before PyTorch is loaded: a slip is answered at once
    gan_path = find_gan(gan)
    folder = out or open_project().samples_dir
    project = open_project() if template or scale or labels_for else None
    if scale:
        _check_scale(gan_path, scale)
    if overwrite:
        _check_replaced(folder, gan_path, truncation_psi, class_index)
    if how and how.way == "uncertain":
        teacher = teacher or _newest_teacher()

    from gseg_cli.device import pick_device
    from gseg_cli.gan.load import load_generator
    from gseg_cli.gan.sample import write_samples
    from gseg_cli.gan.sheet import FILE
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    generator = load_generator(gan_path, pick_device(device), class_index)
    picked: dict[str, Any] = {}
    if how:
        picked = asdict(_pick(generator, gan_path, wanted, how, teacher))
        wanted = picked["picked"]
    with progress("sample", "images") as on_step:
        samples = write_samples(
            generator, gan_path, wanted, truncation_psi, folder, overwrite=overwrite, on_step=on_step
        )
    handed: dict[str, Any] = {"templates": (), "enlarged": (), "labels": None}
    if project:
        handed |= _hand_out(project, samples, wanted, template, scale or 1, labels_for)
    data = {
        "out": folder,
        "seeds": samples.seeds,
        "truncation_psi": truncation_psi,
        "class_index": samples.class_index,
        "resolution": samples.resolution,
        "gan": {"path": gan_path, "sha256": samples.gan_sha256},
        **handed,
        **picked,
    }
    output = current_output()
    output.say(f"look at {folder / FILE}: leave out what came out badly")
    output.result(data, _told(folder, samples, truncation_psi, how, wanted))
    if not (out or project):  # with templates or labels for another program, people draw there
        output.say_next("label")


def _check_scale(gan: Path, scale: int) -> None:
    from gseg_cli.annotate.handout import check_times
    from gseg_cli.project import gan_resolution

    check_times(gan_resolution(gan), scale)


def _drawn_on(folder: Path) -> tuple[Path, ...]:
    """templates/, enlarged/ and predictions/ of the samples in `folder`, which may not be there.

    Others than the project's have their own: a picture that is there is kept, and its name does not tell what it shows.
    Not within `folder`, where --overwrite would remove what people painted.
    """
    real, root = folder.resolve(), project_dir()
    if real == (root / "samples").resolve():
        return root / "templates", root / "enlarged", root / "predictions"
    return tuple(real.with_name(f"{real.name}-{what}") for what in ("templates", "enlarged", "predictions"))


def _check_replaced(folder: Path, gan: Path, truncation_psi: float, class_index: int | None) -> None:
    from gseg_cli.annotate.handout import check_replaced
    from gseg_runtime.files import sha256_file

    check_replaced(folder, _drawn_on(folder), (sha256_file(gan), truncation_psi, class_index))


def _hand_out(
    project: "Project", samples: "SampleSet", seeds: Sequence[int], template: bool, scale: int, tool: Tool | None
) -> dict[str, Any]:
    """What is drawn on and with, beside the samples themselves."""
    from gseg_cli.annotate.handout import write_enlarged
    from gseg_cli.annotate.template import PALETTE, write_templates
    from gseg_cli.annotate.tools.label_set import write_label_set
    from gseg_cli.output import current_output

    made: dict[str, Any] = {}
    to_paint, to_draw, _ = _drawn_on(samples.dir)
    if template:
        templates = write_templates(samples, seeds, project.classes, to_paint, scale)
        current_output().say(templates.told(f"templates to paint on, and {PALETTE} with the class colours"))
        made["templates"] = templates.written
    if scale > 1:
        enlarged = write_enlarged(samples, seeds, scale, to_draw)
        current_output().say(enlarged.told(f"pictures of {scale * samples.resolution} px to draw on"))
        made["enlarged"] = enlarged.written
    if tool:
        made["labels"], use = write_label_set(tool, project.classes, project.labels_dir)
        current_output().say(use)
    return made


def _pick(
    generator: "Generator", gan: Path, candidates: Sequence[int], how: PickConfig, teacher: Path | None
) -> "Picked":
    from gseg_cli.fewshot.pick_stage import run_pick
    from gseg_cli.progress import progress

    annotations = project_dir() / "annotations"
    with progress("pick", "candidates") as on_step:
        return run_pick(generator, gan, candidates, how, annotations=annotations, teacher=teacher, on_step=on_step)


def _told(
    folder: Path, samples: "SampleSet", truncation_psi: float, how: PickConfig | None, wanted: Sequence[int]
) -> str:
    from gseg_cli.counted import counted
    from gseg_cli.gan.seeds import format_seeds

    size = f"{samples.resolution} px, truncation_psi {truncation_psi:g}"
    text = f"{folder}: {counted(len(samples.seeds), 'sample')} of {size}, seeds {format_seeds(samples.seeds)}"
    if how is None:
        return text
    order = "" if how.way == "random" else ", the most useful first"
    return f"{text}\nlabel next{order}: {', '.join(map(str, wanted))}"


def _how_to_pick(
    pick: Pick | None, count: int | None, teacher: Path | None, truncation_psi: float, seed: int | None
) -> PickConfig | None:
    """None when every seed becomes an image."""
    if teacher and pick != "uncertain":
        raise UsageError("--teacher only applies to --pick uncertain", "add --pick uncertain, or leave it out")
    if seed is not None and (pick or ("random" if count else "")) != "random":
        raise UsageError("--seed only applies to --pick random", "--seeds chooses which images are drawn")
    if pick is None and count is None:
        return None
    given = {"way": pick, "count": count, "seed": seed}
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return PickConfig(**chosen, truncation_psi=truncation_psi)


def _newest_teacher() -> Path:
    try:
        return open_project().latest_checkpoint("fewshot")
    except ProjectError as error:
        hint = "label samples from --pick diverse and run gseg fewshot-train first, or name a checkpoint with --teacher"
        raise ProjectError(f"--pick uncertain needs a teacher: {error.message}", hint) from error

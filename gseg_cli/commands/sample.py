"""gseg sample: images of the GAN to label."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gseg_cli.choices import Pick
from gseg_cli.options import DeviceOpt, GanOpt, OverwriteOpt, find_gan, open_project, project_dir

if TYPE_CHECKING:
    from gseg_cli.fewshot.pick_config import PickConfig
    from gseg_cli.gan.generator import Generator
    from gseg_cli.gan.sample_set import SampleSet

SEEDS, CANDIDATES = "0-15", "0-499"


def sample(
    gan: GanOpt = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help=f"Seeds and ranges, such as 0-9,12; one image each ({SEEDS} unless given), or with --count or --pick "
            f"the candidates ({CANDIDATES} unless given)."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Pick so many of the seeds to label; 10 with --pick alone.")
    ] = None,
    pick: Annotated[
        Pick | None,
        typer.Option(
            help="How to pick: random (the default with --count); diverse, those that together stand for all; "
            "uncertain, those the teacher doubts and that differ. None that is annotated already."
        ),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Teacher of --pick uncertain, else the project's newest one.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of --pick random; 0.")] = None,
    truncation_psi: Annotated[
        float, typer.Option(help="Towards the mean image: 0 is the mean itself, 1 leaves all variety.")
    ] = 0.7,
    class_index: Annotated[
        int | None, typer.Option("--class", min=0, help="Class to draw, of a conditional GAN.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write, else the project's samples/.")
    ] = None,
    template: Annotated[
        bool, typer.Option("--template", help="Also write templates/ to paint the labels on with any paint program.")
    ] = False,
    device: DeviceOpt = "auto",
    overwrite: OverwriteOpt = False,
) -> None:
    """Generate images by seed, or those worth labelling, with the latents that make them again.

    A folder of samples is extended.
    """
    from gseg_cli.gan.seeds import parse_seeds

    how = _how_to_pick(pick, count, teacher, truncation_psi, seed)
    seeds = (CANDIDATES if how else SEEDS) if seeds is None else seeds
    wanted = parse_seeds(seeds)  # before PyTorch is loaded: a slip is answered at once
    gan_path = find_gan(gan)
    folder = out or open_project().samples_dir
    project = open_project() if template else None  # templates carry the project's class colours
    if how and how.way == "uncertain":
        teacher = teacher or _newest_teacher()

    from gseg_cli.device import pick_device
    from gseg_cli.gan.load import load_generator
    from gseg_cli.gan.sample import write_samples
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    generator = load_generator(gan_path, pick_device(device), class_index)
    picked: dict[str, Any] = {}
    if how:
        picked = _pick(generator, gan_path, wanted, how, teacher)
        wanted = picked["picked"]
    with progress("sample", "images") as on_step:
        samples = write_samples(
            generator, gan_path, wanted, truncation_psi, folder, overwrite=overwrite, on_step=on_step
        )
    templates = None
    if project:
        from gseg_cli.annotate.template import write_templates

        templates = write_templates(samples, wanted, project.classes, project.templates_dir)
        current_output().say(templates.told)
    data = {
        "out": folder,
        "seeds": samples.seeds,
        "truncation_psi": truncation_psi,
        "class_index": samples.class_index,
        "resolution": samples.resolution,
        "gan": {"path": gan_path, "sha256": samples.gan_sha256},
        "templates": templates.written if templates else (),
        **picked,
    }
    current_output().result(data, _told(folder, samples, truncation_psi, how, wanted))


def _pick(
    generator: "Generator", gan: Path, candidates: Sequence[int], how: "PickConfig", teacher: Path | None
) -> dict[str, Any]:
    from gseg_cli.fewshot.start_pick import start_pick
    from gseg_cli.progress import progress

    annotations = project_dir() / "annotations"
    with progress("pick", "candidates") as on_step:
        return start_pick(generator, gan, candidates, how, annotations=annotations, teacher=teacher, on_step=on_step)


def _told(
    folder: Path, samples: "SampleSet", truncation_psi: float, how: "PickConfig | None", wanted: Sequence[int]
) -> str:
    from gseg_cli.gan.seeds import format_seeds

    size = f"{samples.resolution} px, truncation_psi {truncation_psi:g}"
    text = f"{folder}: {len(samples.seeds)} samples of {size}, seeds {format_seeds(samples.seeds)}"
    if how is None:
        return text
    order = "" if how.way == "random" else ", the most useful first"
    return f"{text}\nlabel next{order}: {', '.join(map(str, wanted))}"


def _how_to_pick(
    pick: str | None, count: int | None, teacher: Path | None, truncation_psi: float, seed: int | None
) -> "PickConfig | None":
    """None when every seed is to be an image."""
    from gseg_cli.fewshot.pick_config import PickConfig
    from gseg_runtime.errors import UsageError

    if teacher and pick != "uncertain":
        raise UsageError("--teacher: is asked by --pick uncertain alone", "add --pick uncertain, or leave it out")
    if seed is not None and (pick or ("random" if count else "")) != "random":
        raise UsageError("--seed: draws the samples of --pick random, and nothing else", "--seeds names images")
    if pick is None and count is None:
        return None
    given = {"way": pick, "count": count, "seed": seed}
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return PickConfig(**chosen, truncation_psi=truncation_psi)


def _newest_teacher() -> Path:
    from gseg_runtime.errors import ProjectError

    try:
        return open_project().latest_run("fewshot") / "checkpoint.safetensors"
    except ProjectError as error:
        hint = "label some of --pick diverse first and run gseg fewshot-train, or name a checkpoint with --teacher"
        raise ProjectError(f"--pick uncertain needs a teacher: {error.message}", hint) from error

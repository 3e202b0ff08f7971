"""gseg distill: a small network that needs no GAN, from pairs the teacher labelled."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gseg_cli.choices import Geometry, Labels, Loss, Precision, StudentSize
from gseg_cli.options import DeviceOpt, GanOpt, find_gan, open_project, project_dir


def distill(
    gan: GanOpt = None,
    teacher: Annotated[Path | None, typer.Option(help="Teacher checkpoint, else the project's newest one.")] = None,
    pairs: Annotated[int | None, typer.Option(min=1, help="Generated pairs to train on; 4000.")] = None,
    truncation_psi: Annotated[float | None, typer.Option(help="Truncation of the generated pairs; 1.")] = None,
    drop: Annotated[
        float | None, typer.Option(min=0, max=0.9, help="Share of pairs to leave out, the most doubtful; 0.1.")
    ] = None,
    labels: Annotated[
        Labels | None, typer.Option(help="soft: the teacher's two likeliest classes (default); hard: the likeliest.")
    ] = None,
    ignore_below: Annotated[
        float | None, typer.Option(min=0, max=0.99, help="Ignore pixels less certain than this, 0.5 to 1; none.")
    ] = None,
    annotated: Annotated[
        float | None,
        typer.Option(min=0, max=0.9, help="Share of each step that is annotated samples, as drawn; 0.25."),
    ] = None,
    student: Annotated[StudentSize | None, typer.Option(help="paper has 17 million parameters, default 2.")] = None,
    loss: Annotated[Loss | None, typer.Option(help="ce: cross-entropy (default).")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; 1000.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.001, help="Time to train for, instead of --steps.")] = None,
    batch: Annotated[int | None, typer.Option(min=2, help="Pairs per step; 32.")] = None,
    microbatch: Annotated[
        int | None, typer.Option(min=2, help="Pairs computed at once, to save memory; all of a process's.")
    ] = None,
    geometry: Annotated[
        Geometry | None,
        typer.Option(help="aligned: photos framed as the GAN's (default); paper: any size and place in the picture."),
    ] = None,
    mirror: Annotated[bool | None, typer.Option(help="Mirror at random (default); not where sides differ.")] = None,
    colour: Annotated[
        float | None, typer.Option(min=0, max=1, help="Strength of random changes of colour; 0.2.")
    ] = None,
    background: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of images that get another background; 0.")
    ] = None,
    precision: Annotated[Precision | None, typer.Option(help="auto: bf16 where the hardware has it.")] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Photos the student is meant for: how it behaves on them, without labels.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest run, as it was begun.")] = False,
    runs: Annotated[Path | None, typer.Option(help="Folder of the runs, else the project's runs/.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers; 0.")] = None,
    device: DeviceOpt = "auto",
) -> None:
    """Train the student UNet on generated pairs.

    Under torchrun all its processes train together: torchrun --nproc-per-node 8 -m gseg_cli distill.
    """
    from gseg_cli.distill.config import configure
    from gseg_cli.distill.start import resume_distill, start_distill
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.steps import ignore_say
    from gseg_cli.world import join_world
    from gseg_runtime.images import list_images

    out, runs = current_output(), runs or project_dir() / "runs"
    options = {
        "pairs": pairs, "truncation_psi": truncation_psi, "drop": drop, "labels": labels, "ignore_below": ignore_below,
        "annotated": annotated, "student": student, "loss": loss, "steps": steps, "minutes": minutes, "batch": batch,
        "microbatch": microbatch, "geometry": geometry, "mirror": mirror, "colour": colour, "background": background,
        "precision": precision, "seed": seed,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    config = configure(given)  # refuses what is wrong before any work
    if photos:
        list_images(photos)
    with (
        join_world(device) as (world, torch_device),
        progress("pairs", "pairs") as on_pairs,
        progress("distill", "steps") as on_step,
    ):
        if resume:
            done = resume_distill(
                given, runs, torch_device, gan=find_gan(gan) if gan else None, teacher=teacher, world=world,
                say=out.say if world.is_first else ignore_say, on_pairs=on_pairs, on_step=on_step,
            )  # fmt: skip
        else:
            teacher = teacher or open_project().latest_run("fewshot") / "checkpoint.safetensors"
            done = start_distill(
                find_gan(gan), teacher, config, runs, torch_device, world=world, on_pairs=on_pairs, on_step=on_step
            )
    if world.is_first:
        text = f"{done['checkpoint']}: mean IoU {done['held_out_miou']:.3f} against its teacher on held-out samples"
        out.result(done | (_look_at(photos, done, torch_device) if photos else {}), text)


def _look_at(photos: Path, done: dict[str, Any], device: Any) -> dict[str, Any]:
    from gseg_cli.distill.photo_report import SHEET, report_run
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.runs import Run

    out, run = current_output(), Run(done["run"])
    with progress("photos", "photos") as on_step:
        report = report_run(run, photos, done["gan"], device, on_step)
    for what in [*report["unreadable"], *report["warnings"]]:
        out.warn(what)
    sure = ", ".join(f"{name} {report[name]['agreement']:.1%}" for name in ("photos", "generated"))
    out.say(f"labels that small changes leave alone: {sure}; look at {run.dir / SHEET}.png")
    return {"photos": report}

"""gseg distill: a small network that needs no GAN, from pairs the teacher labelled."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gseg_cli.choices import Labels, Precision
from gseg_cli.distill.config import (
    PRETRAINED_ANNOTATED,
    PRETRAINED_PAIRS,
    AugmentConfig,
    DistillConfig,
    PairsConfig,
    configure,
)
from gseg_cli.options import (
    BackgroundOpt,
    ColourOpt,
    DeviceOpt,
    GanOpt,
    GeometryOpt,
    LossOpt,
    MinutesOpt,
    MirrorOpt,
    ResumeRunOpt,
    RunsOpt,
    SeedOpt,
    StepsOpt,
    StudentOpt,
    TeacherOpt,
    export_words,
    find_gan,
    find_teacher,
    is_given,
    precision_trials,
    project_dir,
    with_usual_student,
)

if TYPE_CHECKING:
    from gseg_cli.distill.stage import TrainedStudent


def distill(
    context: typer.Context,
    gan: GanOpt = None,
    teacher: TeacherOpt = None,
    pairs: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of generated pairs to train on.",
            show_default=f"{PairsConfig.count}; of lite0 {PRETRAINED_PAIRS}",
        ),
    ] = PairsConfig.count,
    truncation_psi: Annotated[
        float, typer.Option(min=0, max=2, help="Truncation of the generated images; 1 keeps the GAN's full variety.")
    ] = PairsConfig.truncation_psi,
    drop: Annotated[
        float,
        typer.Option(min=0, max=0.9, help="Share of the pairs to leave out, those most in doubt."),
    ] = DistillConfig.drop,
    labels: Annotated[
        Labels,
        typer.Option(
            help="Learn each pixel's two likeliest classes (soft), or only the likeliest (hard); or soft, but only "
            "where a second network agrees, which learned from the annotated samples alone (agreed).",
            show_default=f"{DistillConfig.labels}; of lite0 agreed",
        ),
    ] = DistillConfig.labels,
    ignore_below: Annotated[
        float,
        typer.Option(
            min=0, max=0.99, help="Ignore pixels whose likeliest class has less than this share of the top two."
        ),
    ] = DistillConfig.ignore_below,
    annotated: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.9,
            help="Share of a batch's samples that are the annotated ones.",
            show_default=f"{DistillConfig.annotated}; of lite0 {PRETRAINED_ANNOTATED}",
        ),
    ] = DistillConfig.annotated,
    labelled: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Labelled photos to train on too: DIR/images, and label PNGs in DIR/masks."),
    ] = None,
    labelled_share: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=0.99,
            help="Share of each batch that is taken from the labelled photos.",
            show_default="n / (n + 2) of n photos",
        ),
    ] = DistillConfig.labelled_share,
    student: StudentOpt = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Side of the pictures that the student learns from, in pixels.",
            show_default="the GAN's; for lite0 twice that, up to 256",
        ),
    ] = DistillConfig.input_size,
    pair_size: Annotated[
        int | None,
        typer.Option(
            min=8, help="Side of the pairs' pictures in pixels.", show_default="the student's, at most the GAN's"
        ),
    ] = PairsConfig.size,
    loss: LossOpt = DistillConfig.loss,
    steps: StepsOpt = DistillConfig.steps,
    minutes: MinutesOpt = DistillConfig.minutes,
    batch: Annotated[int, typer.Option(min=2, help="Pairs per training step.")] = DistillConfig.batch,
    microbatch: Annotated[
        int | None,
        typer.Option(
            min=2, help="Pairs computed at once; fewer need less memory.", show_default="a process's share of the batch"
        ),
    ] = DistillConfig.microbatch,
    geometry: GeometryOpt = "aligned",
    mirror: MirrorOpt = AugmentConfig.mirror,
    colour: ColourOpt = AugmentConfig.colour,
    background: BackgroundOpt = AugmentConfig.background,
    precision: Annotated[
        Precision, typer.Option(help="Numerical precision; auto is bf16 where it is quicker, and fp32 elsewhere.")
    ] = DistillConfig.precision,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of photos to check the student on; they need no labels."),
    ] = None,
    resume: ResumeRunOpt = False,
    runs: RunsOpt = None,
    seed: SeedOpt = DistillConfig.seed,
    device: DeviceOpt = "auto",
) -> None:
    """Train the student on images that the teacher labels.

    Draws images from the GAN, labels them with the teacher, and writes the student to runs/NNNN-distill/. To train on
    several GPUs, use torchrun: torchrun --nproc-per-node 8 -m gseg_cli distill.
    """
    options = {
        "pairs": pairs, "truncation_psi": truncation_psi, "drop": drop, "labels": labels, "ignore_below": ignore_below,
        "annotated": annotated, "labelled_share": labelled_share, "student": student, "loss": loss, "steps": steps,
        "minutes": minutes, "batch": batch, "microbatch": microbatch, "geometry": geometry, "mirror": mirror,
        "colour": colour, "background": background,
        "precision": precision, "seed": seed, "input_size": input_size, "pair_size": pair_size,
        "labelled": str(labelled and labelled.absolute()),
    }  # fmt: skip
    given = {name: value for name, value in options.items() if is_given(context, name)}
    if resume and precision == "auto":  # a resumed run keeps what was chosen for it
        given.pop("precision", None)
    about_usual = None if resume or student else with_usual_student(given)
    config = configure(given)

    # PyTorch is imported from here on: what is wrong has been refused.
    from gseg_cli.distill.labelled_photos import about_labelled
    from gseg_cli.distill.precision import settle_precision
    from gseg_cli.distill.stage import resume_distill, run_distill
    from gseg_cli.distill.trainer import check_batch
    from gseg_cli.memory import keep_freed_memory
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.project import gan_resolution
    from gseg_cli.steps import ignore_say
    from gseg_cli.threads import SharedCores
    from gseg_cli.world import join_world
    from gseg_runtime.images import list_images

    keep_freed_memory()
    out, runs = current_output(), runs or project_dir() / "runs"
    if photos:
        list_images(photos)
    for warning in about_labelled(labelled) if labelled else ():
        out.warn(warning)
    with (
        join_world(device) as (world, torch_device),
        progress("pairs", "pairs") as on_pairs,
        progress("distill", "steps") as on_step,
    ):
        say = out.say if world.is_first else ignore_say
        if about_usual:
            say(about_usual)
        on_pairs, on_step = map(SharedCores(torch_device, say).watched, (on_pairs, on_step))
        if resume:
            trained = resume_distill(
                given, runs, torch_device, gan=find_gan(gan) if gan else None, teacher=teacher, world=world,
                say=say, on_pairs=on_pairs, on_step=on_step,
            )  # fmt: skip
        else:
            teacher = find_teacher(teacher)
            gan_path = find_gan(gan)
            check_batch(config.train, world)
            if world.is_first:
                config = settle_precision(config, gan_resolution(gan_path), torch_device, precision_trials(), say)
            config = world.agree(config)
            trained = run_distill(
                gan_path, teacher, config, runs, torch_device, world=world, say=say, on_pairs=on_pairs, on_step=on_step
            )
    if world.is_first:
        text = f"{trained.checkpoint}: mean IoU {trained.held_out_miou:.3f} against its teacher on held-out samples"
        out.result(asdict(trained) | (_look_at(photos, trained, torch_device) if photos else {}), text)
        out.say_next(*export_words(trained.checkpoint))


def _look_at(photos: Path, trained: "TrainedStudent", device: Any) -> dict[str, Any]:
    from gseg_cli.distill.photo_report import SHEET, report_run
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.runs import Run

    out, run = current_output(), Run(trained.run)
    with progress("photos", "photos") as on_step:
        report = report_run(run, photos, trained.gan, device, on_step)
    for what in [*report["unreadable"], *report["warnings"]]:
        out.warn(what)
    sure = ", ".join(f"{name} {report[name]['agreement']:.1%}" for name in ("photos", "generated"))
    out.say(f"labels that small changes leave alone: {sure}; look at {run.dir / SHEET}.png")
    return {"photos": report}

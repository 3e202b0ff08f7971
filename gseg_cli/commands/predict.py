"""gseg predict: what the teacher says of further samples, to be corrected instead of drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.choices import Prefill
from gseg_cli.options import DeviceOpt, TeacherOpt, find_teacher, open_project
from gseg_runtime.errors import GsegError, UsageError

if TYPE_CHECKING:
    from gseg_cli.annotate.prefill import Guess
    from gseg_cli.gan.sample_set import SampleSet
    from gseg_cli.project import Project


def predict(
    way: Annotated[
        Prefill, typer.Option("--for", help="Program to correct the predictions with; template is any paint program.")
    ],
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="SEEDS",
            help="Samples to predict, as numbers and ranges: 0-9,12.",
            show_default="all without labels",
        ),
    ] = None,
    teacher: TeacherOpt = None,
    scale: Annotated[
        int, typer.Option(min=1, help="Draw on samples so many times as large; writes enlarged/ too.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write to.", show_default="predictions/PROGRAM in the project"),
    ] = None,
    device: DeviceOpt = "auto",
) -> None:
    """Predict further samples, to correct them instead of drawing them.

    Writes what the teacher says of samples as shapes for a labelling program, or as PNGs to paint on. annotate-import
    takes the corrected ones. Files that are there already are kept, except those for CVAT and Label Studio.
    """
    from gseg_cli.gan.seeds import parse_seeds

    wanted = None if seeds is None else parse_seeds(seeds)  # before PyTorch is loaded: a slip is answered at once
    project = open_project()

    from gseg_cli.gan.sample_set import SampleSet
    from gseg_cli.label.samples import check_samples

    samples = check_samples(SampleSet.load(project.samples_dir), project.gan_path)
    teacher = find_teacher(teacher)
    chosen = _chosen(project, samples, wanted)
    if scale > 1:
        from gseg_cli.annotate.handout import check_enlarged, check_times

        check_times(samples.resolution, scale)
        if way != "template":
            check_enlarged(samples, chosen, project.enlarged_dir)
    guesses = _predicted(project, samples, chosen, teacher, device)
    _write(way, guesses, samples, project, out or project.predictions_dir / way, scale)


def _chosen(project: "Project", samples: "SampleSet", wanted: list[int] | None) -> list[int]:
    from gseg_cli.fewshot.pick_stage import labelled_seeds

    if wanted is not None:
        missing = sorted(set(wanted) - set(samples.seeds))
        if missing:
            hint = f"gseg sample --seeds {missing[0]} makes it"
            raise UsageError(f"--seeds: sample {missing[0]} is not in {samples.dir}", hint)
        return wanted
    labelled = labelled_seeds(project.annotations_dir, project.gan_path, samples.class_index)
    left = [seed for seed in samples.seeds if seed not in labelled]
    if not left:
        raise GsegError(f"{samples.dir}: every sample has labels", "gseg sample --count 10 makes further ones")
    return left


def _predicted(project: "Project", samples: "SampleSet", seeds: list[int], teacher: Path, device: str) -> "list[Guess]":
    from gseg_cli.device import pick_device
    from gseg_cli.fewshot.predict_stage import run_predict
    from gseg_cli.gan.load import load_generator
    from gseg_cli.progress import progress

    generator = load_generator(project.gan_path, pick_device(device), samples.class_index)
    with progress("predict", "samples") as on_step:
        return run_predict(generator, project.gan_path, teacher, samples, seeds, project.classes, on_step)


def _write(
    way: Prefill, guesses: "list[Guess]", samples: "SampleSet", project: "Project", folder: Path, scale: int
) -> None:
    from gseg_cli.annotate.handout import write_enlarged
    from gseg_cli.annotate.prefill import write_prelabels, write_templates
    from gseg_cli.annotate.tools.label_set import write_label_set
    from gseg_cli.counted import counted
    from gseg_cli.output import current_output

    output, seeds = current_output(), [guess.seed for guess in guesses]
    pictures = project.enlarged_dir if scale > 1 else samples.dir
    if way == "template":
        kept = write_templates(guesses, samples, project.classes, folder, scale)
        output.say("paint over what is wrong in the colours of classes.gpl")
    else:
        if scale > 1:
            write_enlarged(samples, seeds, scale, pictures)
        kept = write_prelabels(way, guesses, pictures, samples.resolution, project.classes, folder)
        _, use = write_label_set(way, project.classes, project.labels_dir)
        output.say(f"{use}; {_USE[way].format(pictures=pictures, folder=folder)}")
    if kept:
        output.say(f"kept as they were: {counted(kept, 'file')}")
    doubtful = [guess.seed for guess in sorted(guesses, key=lambda guess: -guess.doubt)]
    data = {"out": folder, "for": way, "seeds": seeds, "pictures": pictures, "kept": kept, "doubtful_first": doubtful}
    text = f"{folder}: {counted(len(seeds), 'sample')} predicted\ncorrect first, the most doubtful first: "
    output.result(data, text + ", ".join(map(str, doubtful)))
    output.say_next("annotate-import", "EXPORT" if way in _EXPORTED else folder, "--add")


_EXPORTED = ("cvat", "label-studio")  # what is corrected there comes back as a file of its own

_USE = {
    "labelme": "open {pictures}, with {folder} as its output folder",
    "cvat": "make a task of {pictures}, and upload {folder}/annotations.xml to it as CVAT 1.1",
    "label-studio": "import {folder}/tasks.json, which holds the pictures",
}

"""gseg label: a page to paint labels on samples or photos, with a teacher that follows each stroke."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.fewshot.pick_config import PickConfig
from gseg_cli.options import DeviceOpt, open_project
from gseg_runtime.errors import UsageError

if TYPE_CHECKING:
    from gseg_cli.gan.load import GanModule
    from gseg_cli.gan.sample_set import SampleSet
    from gseg_cli.label.serve import Listener
    from gseg_cli.label.session import Session
    from gseg_cli.project import Project


def label(
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Port on this machine.", show_default="one of the project's own, or else a free one"
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page, print its address only.")
    ] = False,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="SEEDS",
            help="Samples to make where the project has none, as numbers and ranges: 0-9,12.",
            show_default="as many as --count, picked at random",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many samples to make where the project has none.", show_default=str(PickConfig.count)
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Label photos of this folder instead of samples, for student-train; --count of them are copied to the "
            "project's labelled/.",
        ),
    ] = None,
    device: DeviceOpt = "auto",
) -> None:
    """Label samples, or photos, in the browser.

    Prints the address of a page that only this machine can open, and opens it. Paint a few strokes there: a teacher
    learns from each and predicts the rest of every picture, to be accepted or corrected. Every stroke is saved at once:
    on samples to annotations/, for fewshot-train; on photos to labelled/, for student-train. Ctrl-C ends it.
    """
    from gseg_cli.gan.seeds import parse_seeds

    if seeds is not None and count is not None:
        raise UsageError("--seeds and --count exclude each other", "give one of them")
    if seeds is not None and photos:
        raise UsageError("--seeds is about samples, and --photos about photos", "give one of them")
    wanted = parse_seeds(seeds) if seeds is not None else None
    project = open_project()

    from gseg_cli.label.serve import listen, listen_for

    listener = listen(port) if port else listen_for(project.dir)
    number = count or PickConfig.count
    with listener.socket:
        if photos:
            session = _photo_session(project, photos, number, device)
        else:
            session = _session(project, wanted, number, device)
        with closing(session):
            _serve(session, listener, open_browser=not no_browser)


def _session(project: "Project", seeds: list[int] | None, count: int, device: str) -> "Session":
    from gseg_cli.device import pick_device
    from gseg_cli.gan.load import load_generator
    from gseg_cli.label.gan_samples import GanSamples
    from gseg_cli.label.lock import locked
    from gseg_cli.label.session import Session

    project.label_dir.mkdir(exist_ok=True)
    with locked(project.label_dir):  # or each of two that are started at once makes samples
        there = _samples_there(project)
        generator = load_generator(project.gan_path, pick_device(device), there.class_index if there else None)
        samples = _whole(there, project, generator) if there else _made(project, generator, seeds, count)
    return Session(project, GanSamples(project.gan_path, generator, samples))


def _photo_session(project: "Project", source: Path, count: int, device: str) -> "Session":
    from gseg_cli.device import pick_device
    from gseg_cli.label.photo_session import PhotoSession
    from gseg_cli.label.photos import open_photos
    from gseg_cli.output import current_output
    from gseg_cli.pretrained.lite0 import load_lite0
    from gseg_cli.progress import progress

    encoder = load_lite0().requires_grad_(False).to(pick_device(device))
    with progress("prepare", "photos") as on_step:
        opened = open_photos(project, source, count, encoder, current_output().say, on_step)
    return PhotoSession(project, opened)


def _serve(session: "Session", listener: "Listener", *, open_browser: bool) -> None:
    from gseg_cli.label.app import make_app
    from gseg_cli.label.serve import serve
    from gseg_cli.output import current_output

    data = {
        "address": listener.address,
        f"{session.subject.noun}s": list(session.subject.seeds),
        "annotations": session.store.annotations.folder,
    }
    current_output().result(data, listener.address)
    sys.stdout.flush()  # now, also where nobody looks on
    current_output().say("every stroke is saved at once; Ctrl-C ends it")
    if open_browser:
        _open(listener.address_once)
    serve(make_app(session, listener.tokens), listener, session.events.end)
    _say_what_is_labelled(session)


def _say_what_is_labelled(session: "Session") -> None:
    """And what to type next, unless that would be refused."""
    from gseg_cli.counted import counted
    from gseg_cli.output import current_output

    out, folder, subject = current_output(), session.store.annotations, session.subject
    out.say(f"labels on {len(folder.maps):,} of {counted(len(subject.seeds), subject.noun)}")
    if not folder.maps and not folder.elsewhere:
        return
    if missing := session.missing_classes().values():
        out.warn(f"labelled nowhere, so never predicted: {', '.join(missing)}")
    out.say_next(*subject.train)


def _samples_there(project: "Project") -> "SampleSet | None":
    """The project's samples, None where there are none; GsegError when they come from another GAN, or photos are
    labelled here.
    """
    from gseg_cli.gan import sample_set
    from gseg_cli.label.samples import check_samples

    if not (project.samples_dir / sample_set.FILE).is_file():
        if project.labelled_dir.is_dir():
            message = f"{project.labelled_dir}: this project labels photos, and has no samples"
            raise UsageError(message, "add --photos DIR, or make samples first with gseg sample")
        return None
    return check_samples(sample_set.SampleSet.load(project.samples_dir), project.gan_path)


def _made(project: "Project", generator: "GanModule", seeds: list[int] | None, count: int) -> "SampleSet":
    from gseg_cli.label.samples import first_samples
    from gseg_cli.progress import progress

    with progress("sample", "images") as on_step:
        return first_samples(generator, project.gan_path, project.samples_dir, seeds, count, on_step)


def _whole(samples: "SampleSet", project: "Project", generator: "GanModule") -> "SampleSet":
    """With the pictures that are missing, as after Ctrl-C while they were made."""
    from gseg_cli.label.samples import missing_samples
    from gseg_cli.progress import progress

    if all(samples.image_path(seed).is_file() for seed in samples.seeds):
        return samples
    with progress("sample", "images") as on_step:
        return missing_samples(generator, project.gan_path, samples, on_step)


def _open(address: str) -> None:
    """In a thread: a browser without a window would hold up the server that it waits for."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=[address], daemon=True, name="browser").start()

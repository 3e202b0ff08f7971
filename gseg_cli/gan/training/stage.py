"""The stage `gseg gan-train`: configuration, photos and run folder, and a training that begins or goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gseg_cli.charts import require_matplotlib
from gseg_cli.checkpoint import parent_of, read_meta
from gseg_cli.gan.load import GanFile, read_gan
from gseg_cli.gan.training.auto import auto_config
from gseg_cli.gan.training.config import DEFAULT_FIT, Box, GanTrainConfig, from_saved
from gseg_cli.gan.training.copies import about_copies
from gseg_cli.gan.training.data import check_enough
from gseg_cli.gan.training.grow import check_start
from gseg_cli.gan.training.memory_need import warn_of_memory
from gseg_cli.gan.training.photo_classes import PhotoClasses, read_classes
from gseg_cli.gan.training.photo_store import load_photos
from gseg_cli.gan.training.precision import settle_precision
from gseg_cli.gan.training.sources import open_photos, photos_key
from gseg_cli.gan.training.train import STATE, train_gan
from gseg_cli.gan.training.trainer import check_training
from gseg_cli.pretrained.lite0 import load_lite0
from gseg_cli.runs import Run, list_runs, open_run
from gseg_cli.steps import OnStep, Say, ignore_say, ignore_step
from gseg_cli.world import ALONE, World
from gseg_runtime.errors import ConfigError, ProjectError

KIND = "gan"
PROJECTED = "discriminator: projected; StyleGAN2's takes over if samples become too alike"
# How a run may be changed when it goes on: its length, and how often it is saved.
FREE = {"kimg", "snapshot_minutes"}


@dataclass(frozen=True)
class TrainedGan:
    """num_images: shown so far, by earlier calls too. unreadable: names of photos. figures: of the last snapshot."""

    run: Path
    checkpoint: Path
    num_images: int
    num_photos: int
    unreadable: list[str]
    figures: dict[str, float]


def choose_config(
    source: Path,
    given: Mapping[str, Any],
    device: torch.device,
    *,
    init_from: Path | None = None,
    world: World = ALONE,
) -> GanTrainConfig:
    """`given` where it says something, the networks of `init_from` where there is one, and `auto` for the rest.

    ConfigError for an arch, a channel_base or a number of classes that is not init_from's.
    """
    num_photos = check_enough(source)
    if init_from is None:
        return auto_config(given, num_photos=num_photos, device=device, num_processes=world.size)
    gan = _read_start(init_from, given.get("num_classes", 0))
    has_alpha = getattr(gan.config, "img_channels", 3) in (2, 4)
    if given.get("alpha") and not has_alpha:
        raise ConfigError(f"{init_from}: a GAN without alpha", "leave out --alpha, or --init-from")
    kept = {"arch": gan.kind, "channel_base": gan.config.channel_base}
    for name, has in kept.items():
        if (asked := given.get(name, has)) != has:
            message = f"{name}: {asked} was asked for, and {init_from} has {has}"
            hint = f"leave out --{name.replace('_', '-')}; training continues with the networks of the file"
            raise ConfigError(message, hint)
    known = {"resolution": gan.config.img_resolution, "arch": gan.kind, "alpha": has_alpha, **given}
    auto = auto_config(known, num_photos=num_photos, device=device, num_processes=world.size, goes_on=True)
    return auto.like(gan)


def _read_start(path: Path, num_classes: int) -> GanFile:
    """What a training begins with; ConfigError for a GAN of another number of classes."""
    gan = read_gan(path)
    if gan.kind == "stylegan3":
        message = f"{path}: a StyleGAN3, which gan-train does not train; it trains StyleGAN2s"
        raise ConfigError(message, "leave out --init-from, or train it on with NVIDIA's code and give what that wrote")
    got = getattr(gan.config, "c_dim", 0)
    if got and not num_classes:
        message = f"{path}: a conditional GAN with {got} classes, which goes on with --conditional alone"
        raise ConfigError(message, f"train on photos of {got} classes, or leave out --init-from")
    if got != num_classes:
        message = f"{path}: a GAN of {got or 'no'} classes, and the photos have {num_classes}"
        raise ConfigError(message, "leave out --init-from" + ("" if got else ", or --conditional"))
    if len(set(getattr(gan.config, "first_layer", ()))) > 1:
        message = f"{path}: a rectangular GAN; gan-train trains square ones"
        raise ConfigError(message, "leave out --init-from, or sample from the GAN as it is")
    return gan


def run_or_resume_gan_train(
    source: Path,
    given: Mapping[str, Any],
    runs_dir: Path,
    device: torch.device,
    *,
    resume: bool = False,
    conditional: bool = False,
    crop: Box | None = None,
    fit: str | None = None,
    init_from: Path | None = None,
    is_fresh: bool = False,
    world: World = ALONE,
    trials: Path | None = None,
    **how: Any,
) -> TrainedGan:
    """What `gseg gan-train` does: go on with the newest run, or start one with `choose_config`.

    given, crop, fit, init_from: what was asked for, and nothing else; a precision of `auto` is no wish. is_fresh: that
    nothing is started from was asked for. conditional: train on the photos' classes, too. trials: file that remembers
    which precision is quicker on this CPU. how: of `run_gan_train`.
    """
    is_free = given.get("precision", "auto") == "auto"
    if conditional:
        given = {**given, "num_classes": read_classes(source).num_classes}
    if not resume:
        config = choose_config(source, given, device, init_from=init_from, world=world)
        if is_free and world.is_first:
            config = settle_precision(config, device, trials, how.get("say", ignore_say))
        config = world.agree(config)
        if config.discriminator == "projected" and "discriminator" not in given:
            how.get("say", ignore_say)(PROJECTED)
        data: dict[str, Any] = {"crop": crop, "fit": fit or DEFAULT_FIT, "init_from": init_from}
        return run_gan_train(source, config, runs_dir, device, world=world, **data, **how)
    about = {"crop": list(crop) if crop else None, "fit": fit, "init_from": str(init_from) if init_from else None}
    asked = {**given, **{name: value for name, value in about.items() if value is not None}}
    if is_fresh:
        asked["init_from"] = None
    if is_free:  # a resumed run keeps what was chosen for it
        asked.pop("precision", None)
    return resume_gan_train(source, asked, runs_dir, device, world=world, **how)


def run_gan_train(
    source: Path,
    config: GanTrainConfig,
    runs_dir: Path,
    device: torch.device,
    *,
    crop: Box | None = None,
    fit: str = DEFAULT_FIT,
    init_from: Path | None = None,
    minutes: float | None = None,
    fid_weights: Path | None = None,
    world: World = ALONE,
    say: Say = ignore_say,
    on_step: OnStep = ignore_step,
) -> TrainedGan:
    """Train on the photos in `source`.

    Of many processes the first writes the run; only it should be given `say`.
    """
    require_matplotlib()
    if config.discriminator == "projected":
        load_lite0()  # its weights are there
    if init_from:
        start = _read_start(init_from, config.num_classes)
        config = config.like(start)
        check_start(start, config.resolution)
        if not start.has_discriminator:
            why = start.meta.get("discriminator", "none in the file")
            say(f"warning: {init_from}: training begins with a fresh discriminator ({why})")
    about = {"crop": list(crop) if crop else None, "fit": fit, "init_from": str(init_from) if init_from else None}
    about["photos"] = _key_of(source)
    parents = [parent_of(init_from, config.arch)] if init_from else []
    images, unreadable = load_photos(source, config, crop, fit, runs_dir, world, say)
    classes = _classes_of(source, config, len(images), unreadable, say)
    if init_from and classes and classes.names:
        _tell_renamed(init_from, start.meta.get("class_names") or (), classes.names, say)
    check_training(config, len(images), device, world)  # whatever is wrong leaves no run behind
    recorded = {**asdict(config), **about, **({"classes": classes.key} if classes else {})}
    run = world.agree(open_run(runs_dir, KIND, recorded, parents, device) if world.is_first else None)
    assert run is not None
    say(f"{run.dir}: {len(images)} photos at {config.resolution} px on {device}")
    how = {"minutes": minutes, "fid_weights": fid_weights, "world": world, "say": say, "on_step": on_step}
    with run.held(is_needed=world.is_first):
        return _train(images, unreadable, config, run, device, classes=classes, init_from=init_from, **how)


def resume_gan_train(
    source: Path,
    given: Mapping[str, Any],
    runs_dir: Path,
    device: torch.device,
    *,
    minutes: float | None = None,
    fid_weights: Path | None = None,
    world: World = ALONE,
    say: Say = ignore_say,
    on_step: OnStep = ignore_step,
) -> TrainedGan:
    """Go on with the newest run, as it was configured.

    given: options as in config.json. ConfigError when one differs, but for those in FREE. ProjectError without a run.
    """
    require_matplotlib()
    run = newest_run(runs_dir)
    how = {"minutes": minutes, "fid_weights": fid_weights, "world": world, "say": say, "on_step": on_step}
    with run.held(is_needed=world.is_first):  # from here on: it takes minutes to decode many photos
        return _go_on(source, given, run, runs_dir, device, **how)


def _go_on(
    source: Path, given: Mapping[str, Any], run: Run, runs_dir: Path, device: torch.device, **how: Any
) -> TrainedGan:
    """how: of `resume_gan_train`."""
    world, say = how["world"], how["say"]
    saved = {"fit": DEFAULT_FIT, **run.saved()[0]}
    config = from_saved(saved, run.config)
    known = {**saved, **asdict(config)}
    for key, value in given.items():
        if key not in FREE and known.get(key) != value:
            message = f"{run.dir}: {key} was {known.get(key)!r} when this run started, now {value!r}"
            raise ConfigError(message, hint="resume with the same options, or without any")
    config = replace(config, **{key: value for key, value in given.items() if key in FREE})
    crop = tuple(saved["crop"]) if saved.get("crop") else None
    images, unreadable = load_photos(source, config, crop, saved["fit"], runs_dir, world, say)
    num_photos = read_meta(run.checkpoint)["trained"]["num_photos"]
    if len(images) != num_photos:
        message = f"{run.dir}: started with {num_photos} photos, {source} now has {len(images)}"
        raise ConfigError(message, hint="resume with the photos it was started with")
    if saved.get("photos") not in (None, _key_of(source)):
        say(f"warning: {source}: other photos than when this run started; it goes on with those that are there now")
    classes = _classes_of(source, config, len(images), unreadable, say)
    if classes and classes.names:
        _compare_names(source, read_meta(run.checkpoint).get("class_names") or (), classes.names, say)
    if classes and saved.get("classes") not in (None, classes.key):
        message = f"{run.dir}: some photos are of other classes than when this run started, or other photos"
        hint = f"resume with photos and classes as they were, or begin a run with --init-from {run.checkpoint}"
        raise ConfigError(message, hint)
    say(f"{run.dir}: resuming with {len(images)} photos at {config.resolution} px on {device}")
    return _train(images, unreadable, config, run, device, classes=classes, resume=True, **how)


def _train(
    images: Tensor, unreadable: list[str], config: GanTrainConfig, run: Run, device: torch.device, **how: Any
) -> TrainedGan:
    """The run's outcome, the same in every process. how: of `train_gan`."""
    how["say"](describe(config))
    warn_of_memory(config, device, how["say"])
    if how["world"].is_first and (warning := about_copies(images, config.held_out)):
        how["say"](f"warning: {warning}")
    train_gan(images, config, run, device, **how)
    outcome = how["world"].agree(_outcome(run, images, unreadable) if how["world"].is_first else None)
    assert outcome is not None
    return outcome


def newest_run(runs_dir: Path) -> Run:
    """The newest run; ProjectError when there is none, or when it saved nothing that could be gone on from."""
    runs = list_runs(runs_dir, KIND)
    if not runs:
        raise ProjectError(
            f"{runs_dir}: no gan run with a saved state to resume", "run it without --resume to start one"
        )
    if not (runs[-1] / STATE).is_file():
        with Run(runs[-1]).held():
            pass  # one that still trains was not stopped
        message = f"{runs[-1]}: was stopped before its first snapshot, so there is nothing to resume"
        raise ProjectError(
            message, "run it without --resume to start again, or delete this run to resume the one before it"
        )
    return Run(runs[-1])


def describe(config: GanTrainConfig) -> str:
    """The resolved configuration in one line."""
    return "config: " + ", ".join(f"{key} {value}" for key, value in asdict(config).items() if value is not None)


def _outcome(run: Run, images: Tensor, unreadable: list[str]) -> TrainedGan:
    meta = read_meta(run.checkpoint)
    return TrainedGan(run.dir, run.checkpoint, meta["num_images"], len(images), unreadable, meta["figures"])


def _classes_of(
    source: Path, config: GanTrainConfig, num_photos: int, unreadable: list[str], say: Say
) -> PhotoClasses | None:
    """Of the photos that could be read; GsegError when they are others than the training was started with."""
    if not config.num_classes:
        return None
    classes = read_classes(source, set(unreadable))
    if (len(classes.indices), classes.num_classes) != (num_photos, config.num_classes):
        got = f"{classes.num_classes} classes of {len(classes.indices)} photos"
        message = f"{source}: expected {config.num_classes} classes of {num_photos} photos, got {got}"
        raise ConfigError(message, "give the photos and classes that the training was started with")
    say(f"{source}: {classes}")
    return classes


def _compare_names(source: Path, before: Sequence[str], now: Sequence[str], say: Say) -> None:
    """Say which classes have other names than when a run started; ConfigError when one has another's number."""
    for i, name in enumerate(now):
        if name in before and (was := before.index(name)) != i:
            message = f"{source}: {name} was class {was} when this run started, now it is class {i}"
            raise ConfigError(message, "classes are numbered in the order of their folders' names; name them as before")
    for old, new in zip(before, now, strict=False):
        if old != new:
            say(f"warning: {source}: class {old} of this run is now called {new}, and learned on as the same")


def _tell_renamed(gan: Path, before: Sequence[str], now: Sequence[str], say: Say) -> None:
    """Which classes of a GAN go on as others. They may be meant to, unlike those of a run."""
    renamed = [f"{old} as {new}" for old, new in zip(before, now, strict=False) if old != new]
    if renamed:
        some = ", ".join(renamed[:10]) + (", ..." if len(renamed) > 10 else "")
        advice = "classes are numbered in the order of their folders' names; rename these if others are meant"
        say(f"warning: {gan}: classes go on as those of the same number: {some} ({advice})")


def _key_of(source: Path) -> str:
    with open_photos(source) as photos:
        return photos_key(photos)

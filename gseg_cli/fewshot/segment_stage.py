"""The stage `gseg fewshot-segment`: photos through a GAN and a teacher that belong together."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch

from gseg_cli.fewshot.model import load_teacher_of
from gseg_cli.fewshot.segment import PhotoSegmenter, PhotosReport, contents_of
from gseg_cli.fewshot.segment_config import PhotoSegmentConfig
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.invert import check_space
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.gan.load import read_gan
from gseg_cli.steps import OnStep, Say, ignore_say, ignore_step
from gseg_runtime.files import sha256_file
from gseg_runtime.mask_folder import check_mask_folder
from gseg_runtime.sources import Source


def run_fewshot_segment(
    sources: Sequence[Source],
    out: Path,
    gan: Path,
    teacher: Path,
    config: InvertConfig,
    options: PhotoSegmentConfig,
    device: torch.device,
    *,
    seed: int = 0,
    lpips: Path | None = None,
    say: Say = ignore_say,
    on_step: OnStep = ignore_step,
) -> PhotosReport:
    """Segment photos into `out`. What is wrong is said before samples are drawn, which takes minutes.

    CheckpointError when the teacher was trained on another GAN's features, ConfigError for a space of other GANs,
    GsegError as of `MaskFolder`.
    """
    check_space(read_gan(gan).kind, config.space)
    network, classes, meta = load_teacher_of(gan, teacher, device)
    made_by = {
        "teacher_sha256": sha256_file(teacher), "gan_sha256": meta["gan_sha256"], "seed": seed,
        "lpips": sha256_file(lpips) if lpips else None, **asdict(config), "fit": options.fit,
    }  # fmt: skip
    num_photos = check_mask_folder(
        out, sources, contents_of(made_by),
        overwrite=options.overwrite, resume=options.resume, full_names=options.full_names,
    )  # fmt: skip

    @cache
    def load() -> Inverter:
        say("drawing samples to compare with")
        return Inverter.load(gan, config, device, seed=seed, class_index=meta.get("gan_class"), lpips=lpips)

    if num_photos:
        load()  # what fails here leaves no folder behind
    return PhotoSegmenter(load, network, classes, made_by).segment(sources, out, options, on_step)

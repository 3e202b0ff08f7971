"""The whole flow at tiny scale: shipped GAN to masks of photos the GAN never saw."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.builtin import Builtin
from gseg_cli.demo import QUICK, DemoFigures, DemoSize, run_demo, supervised_figures
from gseg_cli.distill.config import DistillConfig, PairsConfig, StudentConfig
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.progress import format_step
from gseg_cli.steps import OnStep, Step
from gseg_runtime.files import sha256_file

TINY = DemoSize(
    num_photos=8,
    num_teacher_samples=8,
    fewshot=FewshotConfig(steps=30),
    student=StudentConfig(
        pairs=PairsConfig(count=64), train=DistillConfig(student="tiny", steps=60, batch=16, ema=0.9)
    ),
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoFigures, dict[str, list[Step]]]:
    torch.set_num_threads(1)
    out, seen = tmp_path_factory.mktemp("demo") / "demo", {}

    @contextmanager
    def stage(name: str, unit: str) -> Iterator[OnStep]:
        yield seen.setdefault(name, []).append

    return out, run_demo(out, TINY, torch.device("cpu"), stage), seen


def test_the_flow_ends_in_masks_of_photos_that_beat_chance(demo: Any) -> None:
    out, figures, _ = demo
    assert len(list((out / "project" / "masks").glob("*.png"))) == TINY.num_photos
    # All background, the best constant answer, would have a tenth of the background's share.
    assert figures.miou_student > 0.15
    assert figures.miou_teacher > 0.3
    assert 0 < figures.held_out_miou <= 1


def test_every_stage_tells_of_its_progress_to_the_end(demo: Any) -> None:
    _, figures, seen = demo
    assert set(figures.seconds) == {*seen, "total"}
    ends = {name: steps[-1] for name, steps in seen.items() if name != "evaluate"}
    assert all(step.done == step.total for step in ends.values())


def test_pairs_are_counted_as_pairs(demo: Any) -> None:
    *_, seen = demo
    count = TINY.student.pairs.count
    last = [step for step in seen["distill"] if step.unit == "pairs"][-1]
    assert format_step(last, "steps", None) == f"{count}/{count} pairs"


def test_the_contact_sheet_shows_photo_mask_and_overlay(demo: Any) -> None:
    _, figures, _ = demo
    with Image.open(figures.contact_sheet) as sheet:
        assert sheet.width > 3 * 128 and sheet.height > 3 * 128


def test_only_a_demo_of_the_same_size_is_compared_with_the_network_on_exact_labels(demo: Any) -> None:
    """Its figures were measured at 128 px; the quick demo's faces have 64."""
    _, figures, _ = demo
    assert supervised_figures(figures) is not None
    quick = replace(figures, gan_sha256=sha256_file(Builtin(QUICK.gan).gan))
    assert supervised_figures(quick) is None


def test_the_demo_folder_is_not_overwritten_unasked(demo: Any, capsys: pytest.CaptureFixture[str]) -> None:
    out, *_ = demo
    assert main(["demo", "--quick", "-o", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_info_walks_back_from_the_model_to_the_gan(demo: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, figures, _ = demo
    assert main(["info", figures.model, "--json"]) == 0
    assert figures.gan_sha256 in json.dumps(json.loads(capsys.readouterr().out)["data"])


def test_the_quick_demo_differs_from_the_full_one_in_size_only() -> None:
    assert replace(QUICK.student.train, steps=0, batch=0) == replace(DemoSize().student.train, steps=0, batch=0)
    assert replace(QUICK.fewshot, steps=0) == replace(DemoSize().fewshot, steps=0)

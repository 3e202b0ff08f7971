"""What is shipped belongs together: the GAN, its annotations, the reference annotator and the figures."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gseg_cli.builtin import DEFAULT, Builtin, assets, builtin_names
from gseg_cli.checkpoint import read_header, read_meta
from gseg_cli.datasets.splits import GAN_SEEDS, REFERENCE_SEEDS, SUPERVISED_SEED, TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.demo import shipped_figures
from gseg_cli.distill.config import PAIR_SEED
from gseg_cli.distill.stage import HELD_OUT_SEED, NUM_HELD_OUT
from gseg_cli.evaluate.reference import reference_path
from gseg_cli.evaluate.samples import TEACHER_SEEDS
from gseg_runtime.label_map import check_label_map, read_label_png

ROOT = Path(__file__).parents[1]
SHIPPED = [Builtin(name) for name in builtin_names()]
each_gan = pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.name)


def test_every_table_of_the_default_gan_was_made_with_it() -> None:
    shipped = Builtin(DEFAULT)
    sha256 = shipped.gan_sha256
    assert shipped_figures()["gan_sha256"] == sha256
    assert shipped_figures()["reference_sha256"] == shipped.reference_sha256
    hashes = re.findall(r"GAN `([0-9a-f]{12,64})`", (ROOT / "benchmarks" / "autoshot.md").read_text())
    assert hashes and all(sha256.startswith(found) for found in hashes), "run make assets"


def test_the_readme_shows_the_measured_figures() -> None:
    """Those of photographs stand in pretrained.md, made by the same command."""
    table = re.search(r"figures:start -->(.*)<!-- figures:end", (ROOT / "README.md").read_text(), re.DOTALL)
    measured = (ROOT / "benchmarks" / "pretrained.md").read_text()
    figures = re.findall(r"[01]\.\d{3} ± \d\.\d{3}", table[1]) if table else []
    assert len(figures) >= 8 and all(figure in measured for figure in figures)


def test_the_page_of_the_assets_is_about_them() -> None:
    text = (assets() / "README.md").read_text()
    assert {shipped.gan_sha256 for shipped in SHIPPED} == set(re.findall(r"GAN `([0-9a-f]{64})`", text)), "make assets"


@each_gan
def test_a_gan_that_comes_along_is_small_and_can_be_trained_on(shipped: Builtin) -> None:
    names = read_header(shipped.gan).keys()
    assert shipped.gan.stat().st_size <= 15_000_000
    assert any(name.startswith("G_ema.") for name in names) and any(name.startswith("D.") for name in names)
    assert read_meta(shipped.gan)["trained"]["num_photos"] >= 20_000


@each_gan
def test_the_ten_annotations_show_every_class(shipped: Builtin) -> None:
    maps = [read_label_png(path) for path in shipped.annotations]
    assert len(maps) == 10
    for labels in maps:
        check_label_map(labels, len(CLASSES), "annotation")
        assert set(np.unique(labels)) == set(range(len(CLASSES)))


@each_gan
def test_the_reference_annotator_is_of_the_gans_size_and_states_its_own_figure(shipped: Builtin) -> None:
    meta = read_meta(shipped.reference)
    assert reference_path(read_meta(shipped.gan)["config"]["img_resolution"]) == shipped.reference
    assert meta["trained"]["faces"] >= 4000
    assert 0.8 < meta["quality"]["mean_iou"] < 1


def test_no_seed_is_used_twice() -> None:
    faces = [GAN_SEEDS, TEST_SEEDS, REFERENCE_SEEDS, range(SUPERVISED_SEED, SUPERVISED_SEED + 100_000)]
    samples = [range(500), TEACHER_SEEDS, range(HELD_OUT_SEED, HELD_OUT_SEED + NUM_HELD_OUT), range(PAIR_SEED, 10**6)]
    for ranges in (faces, samples):
        ordered = sorted(ranges, key=lambda r: r.start)
        assert all(a.stop <= b.start for a, b in pairwise(ordered))

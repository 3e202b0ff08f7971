"""What is shipped belongs together: the GAN, its annotations, the reference annotator and the figures."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from gseg_cli.checkpoint import read_header, read_meta
from gseg_cli.datasets.splits import GAN_SEEDS, REFERENCE_SEEDS, SUPERVISED_SEED, TEST_SEEDS
from gseg_cli.datasets.toy_faces import CLASSES
from gseg_cli.demo import TEACHER_SEEDS, assets, shipped_figures
from gseg_cli.distill.distill import HELD_OUT_SEED, NUM_HELD_OUT, PAIR_SEED
from gseg_cli.evaluate.reference import reference_path
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import check_label_map, read_label_png

ROOT = Path(__file__).parents[1]
GAN = assets() / "toy-faces.safetensors"


def test_every_table_was_made_with_the_shipped_gan() -> None:
    sha256 = sha256_file(GAN)
    assert shipped_figures()["gan_sha256"] == sha256
    assert shipped_figures()["reference_sha256"] == sha256_file(reference_path())
    for page in ("benchmarks/autoshot.md", "gseg_cli/assets/README.md", "README.md"):
        hashes = re.findall(r"GAN `([0-9a-f]{12,64})`", (ROOT / page).read_text())
        assert hashes, f"{page} names no GAN"
        assert all(sha256.startswith(found) for found in hashes), f"{page}: run make assets"


def test_the_readme_shows_the_measured_figures() -> None:
    text = (ROOT / "README.md").read_text()
    for row in shipped_figures()["autoshot"]:
        assert f"{row['miou_student']:.3f}" in text


def test_the_shipped_gan_is_small_and_can_be_trained_on() -> None:
    names = read_header(GAN).keys()
    assert GAN.stat().st_size <= 15_000_000
    assert any(name.startswith("G_ema.") for name in names) and any(name.startswith("D.") for name in names)
    assert read_meta(GAN)["trained"]["num_photos"] >= 20_000


def test_the_ten_annotations_show_every_class() -> None:
    maps = [read_label_png(path) for path in sorted((assets() / "annotations").glob("*.png"))]
    assert len(maps) == 10
    for labels in maps:
        check_label_map(labels, len(CLASSES), "annotation")
        assert set(np.unique(labels)) == set(range(len(CLASSES)))


def test_the_reference_annotator_states_its_own_figure() -> None:
    meta = read_meta(reference_path())
    assert meta["trained"]["faces"] >= 4000
    assert 0.8 < meta["quality"]["mean_iou"] < 1


def test_no_seed_is_used_twice() -> None:
    faces = [GAN_SEEDS, TEST_SEEDS, REFERENCE_SEEDS, range(SUPERVISED_SEED, SUPERVISED_SEED + 100_000)]
    samples = [range(500), TEACHER_SEEDS, range(HELD_OUT_SEED, HELD_OUT_SEED + NUM_HELD_OUT), range(PAIR_SEED, 10**6)]
    for ranges in (faces, samples):
        ordered = sorted(ranges, key=lambda r: r.start)
        assert all(a.stop <= b.start for a, b in pairwise(ordered))

"""Samples to label: they stand for all candidates, none twice, and the teacher's doubt counts when there is one."""

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from gseg_cli.annotate.annotation_set import FIRST_PHOTO
from gseg_cli.app import main
from gseg_cli.choices import Pick
from gseg_cli.fewshot.candidates import doubts, pooled_features
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.medoids import greedy_medoids
from gseg_cli.fewshot.model import save_teacher
from gseg_cli.fewshot.pick import MAX_CANDIDATES, pick_seeds
from gseg_cli.fewshot.pick_config import PickConfig
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.project import Project
from gseg_runtime.errors import UsageError
from gseg_runtime.files import sha256_file
from tests.tiny import CLASSES, annotate, brightness_labels, make_generator

NONE = torch.zeros(13, dtype=torch.bool)
EVEN = torch.ones(13)
# Rows of the groups below: six alike, four alike, two alike, and one odd point far from all.
GROUPS = {"six": range(6), "four": range(6, 10), "two": range(10, 12), "odd": range(12, 13)}


@pytest.fixture
def distances():
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0.0]] * 6 + [[10.0, 0.0]] * 4 + [[0.0, 10.0]] * 2 + [[13.0, 13.0]])
    points = centres + torch.randn(13, 2) / 10
    return torch.cdist(points, points)


def groups(rows):
    return [name for row in rows for name, members in GROUPS.items() if row in members]


def test_medoids_stand_for_the_largest_groups_first_and_an_odd_point_comes_last(distances):
    assert groups(greedy_medoids(distances, 4, weights=EVEN, taken=NONE)) == ["six", "four", "two", "odd"]


def test_what_a_labelled_sample_stands_for_is_not_picked_again(distances):
    taken = torch.arange(13) == 3
    assert groups(greedy_medoids(distances, 2, weights=EVEN, taken=taken)) == ["four", "two"]


def test_doubt_draws_the_pick_to_it_but_not_twice_to_the_same(distances):
    doubt = torch.where(torch.arange(13) >= 10, 5.0, 1.0) * (torch.arange(13) < 12)
    assert groups(greedy_medoids(distances, 2, weights=doubt, taken=torch.arange(13) == 0)) == ["two", "four"]


def test_every_point_can_be_picked_and_none_twice(distances):
    assert sorted(greedy_medoids(distances, 13, weights=torch.zeros(13), taken=NONE)) == list(range(13))


@pytest.fixture(scope="module")
def generator():
    return make_generator()


@pytest.fixture(scope="module")
def teacher(generator):
    labels = brightness_labels(generator, [0, 1])
    return fit_teacher(generator, annotate(generator, [0, 1], labels), FewshotConfig(steps=20, pixels=64, num_heads=2))


def test_candidates_are_described_by_the_means_of_all_layers_whatever_the_batch(generator, teacher):
    seeds = range(20)  # more than a batch
    ws = ws_for_seeds(generator, seeds, 0.7)
    means = torch.cat([m.mean(dim=[2, 3]) for m in generator.features(ws)[1].maps], dim=1)
    assert torch.allclose(pooled_features(generator, seeds, 0.7), means, atol=1e-5)
    assert torch.allclose(doubts(generator, teacher, seeds, 0.7), predict(generator, teacher, ws).score(), atol=1e-5)


@pytest.mark.parametrize("way", get_args(Pick))
def test_the_same_call_picks_the_same_and_never_what_is_labelled(generator, teacher, way):
    config = PickConfig(way=way, count=4)
    picked = pick_seeds(generator, range(12), config, labelled=[2, 5, 99], teacher=teacher)
    assert picked == pick_seeds(generator, range(11, -1, -1), config, labelled=[99, 5, 2], teacher=teacher)
    assert len(set(picked)) == 4 and set(picked) <= set(range(12)) - {2, 5}
    everything = pick_seeds(generator, range(12), PickConfig(way=way, count=10), labelled=[2, 5], teacher=teacher)
    assert sorted(everything) == [seed for seed in range(12) if seed not in (2, 5)]


def test_another_seed_is_another_random_choice(generator):
    first, second = (pick_seeds(generator, range(500), PickConfig(way="random", seed=seed)) for seed in (0, 1))
    assert set(first) != set(second)


def test_a_teachers_doubt_changes_the_pick(generator, teacher):
    diverse, uncertain = (
        pick_seeds(generator, range(40), PickConfig(way=way, count=6), teacher=teacher)
        for way in ("diverse", "uncertain")
    )
    doubt = doubts(generator, teacher, range(40), 0.7)
    assert doubt[uncertain].mean() > doubt[diverse].mean()


@pytest.mark.parametrize("candidates", [range(3), range(MAX_CANDIDATES + 1)])
def test_too_few_or_too_many_candidates_are_refused_before_any_work(generator, candidates):
    with pytest.raises(UsageError, match="expected at most") as caught:
        pick_seeds(generator, candidates, PickConfig(count=4))
    assert "--seeds" in caught.value.hint


@pytest.fixture
def project(tiny_gan, tmp_path):
    return Project.create(tmp_path / "faces", classes=CLASSES, gan=str(tiny_gan))


@pytest.fixture
def call(project, capsys):
    """gseg sample in the project: its exit code, what stands on stdout, and on stderr."""

    def run(*args):
        code = main(["sample", "-C", str(project.dir), "--seeds", "0-11", "--device", "cpu", *args])
        return code, *capsys.readouterr()

    return run


def write_annotations(project, seeds, gan_sha256):
    generator = load_generator(project.gan_path)
    annotations = annotate(generator, seeds, brightness_labels(generator, seeds), gan_sha256)
    annotations.save(project.annotations_dir, source="test")
    return generator, annotations


def test_the_command_makes_only_what_it_picked_and_says_what_to_label_next(call, project):
    code, out, _ = call("--count", "3", "--pick", "diverse", "--json")
    data = json.loads(out)["data"]
    assert code == 0 and (data["pick"], data["candidates"], len(data["picked"])) == ("diverse", 12, 3)
    assert sorted(data["picked"]) == data["seeds"] == sorted(int(p.stem) for p in project.samples_dir.glob("*.png"))
    order = ", ".join(map(str, data["picked"]))
    again = call("--count", "3", "--pick", "diverse")[1]
    assert again.splitlines()[-1] == f"label next, the most useful first: {order}"
    assert call("--count", "3")[1].splitlines()[-1].startswith("label next: ")  # random, in no order


def test_what_the_project_has_annotated_is_not_picked_again(call, project):
    first = json.loads(call("--count", "3", "--json")[1])["data"]["picked"]
    write_annotations(project, first, sha256_file(project.gan_path))
    data = json.loads(call("--count", "9", "--json")[1])["data"]
    assert set(data["picked"]) == set(range(12)) - set(first) and data["labelled"] == sorted(first)
    code, _, err = call("--count", "10")
    assert code == 2 and "expected at most 9" in err


def test_annotations_of_another_gan_count_for_nothing(call, project):
    write_annotations(project, [0, 1], "f" * 64)
    assert json.loads(call("--count", "12", "--json")[1])["data"]["labelled"] == []


def test_a_labelled_photo_is_not_taken_for_a_sample_of_its_number(call, project):
    generator, annotations = write_annotations(project, [0, 1], sha256_file(project.gan_path))
    without = json.loads(call("--count", "3", "--json")[1])["data"]["picked"]
    drawn = annotate(generator, [2], annotations.labels[:1], annotations.gan_sha256)
    photo = replace(drawn, seeds=(FIRST_PHOTO,), photos={FIRST_PHOTO: "a.jpg"})
    annotations.joined(photo).save(project.annotations_dir, source="test", overwrite=True)
    data = json.loads(call("--count", "3", "--json")[1])["data"]
    assert data["labelled"] == [0, 1] and data["picked"] == without
    assert main(["fewshot-train", "-C", str(project.dir), "--steps", "3", "--device", "cpu"]) == 0
    out = call("--pick", "uncertain", "--count", "3", "--json")[1]
    assert json.loads(out[out.index("{") :])["data"]["labelled"] == [0, 1]


def test_uncertain_asks_the_projects_newest_teacher_and_is_refused_without_one(call, project):
    code, _, err = call("--pick", "uncertain", "--count", "3")
    assert code == 1 and "needs a teacher" in err and "--pick diverse" in err and "gseg fewshot-train" in err
    assert not any(project.samples_dir.iterdir())
    _, annotations = write_annotations(project, [0, 1], sha256_file(project.gan_path))
    assert main(["fewshot-train", "-C", str(project.dir), "--steps", "3", "--device", "cpu"]) == 0
    code, out, _ = call("--pick", "uncertain", "--count", "3", "--json")
    data = json.loads(out[out.index("{") :])["data"]
    assert code == 0 and data["labelled"] == list(annotations.seeds) and "0001-fewshot" in data["teacher"]
    assert len(set(data["picked"]) - {0, 1}) == 3


@pytest.mark.parametrize(
    ("change", "message"), [({"gan_sha256": "f" * 64}, "features of GAN ffff"), ({"gan_class": 1}, "of class 1")]
)
def test_the_teacher_of_another_gan_or_class_is_refused(call, project, teacher, tmp_path, change, message):
    meta = {"gan_sha256": sha256_file(project.gan_path), "gan_class": None, "trained": {"seeds": [0, 1]}}
    save_teacher(tmp_path / "t.safetensors", teacher, CLASSES, meta | change)
    code, _, err = call("--pick", "uncertain", "--count", "3", "--teacher", str(tmp_path / "t.safetensors"))
    assert code == 1 and message in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--count", "2", "--pick", "diverse", "--seed", "1"], "--seed only applies to --pick random"),
        (["--seed", "1"], "--seed only applies to --pick random"),
        (["--pick", "best"], "'best' is not one of 'random', 'diverse', 'uncertain'"),
        (["--seeds", ""], "expected a number or a range, got ''"),
        (["--teacher", "t.safetensors"], "--teacher only applies to --pick uncertain"),
    ],
)
def test_a_slip_is_a_usage_error(call, args, message):
    code, _, err = call(*args)
    assert code == 2 and message in err


def test_the_reference_annotator_labels_the_samples_that_the_seeds_make():
    from gseg_cli.builtin import SMALL, Builtin
    from gseg_cli.evaluate.reference import annotate_samples

    generator = load_generator(Builtin(SMALL).gan)
    made = annotate_samples(generator, [7, 3], 0.7, "f" * 64)
    assert made.seeds == (7, 3) and made.labels.shape == (2, 64, 64) and len(made.classes) == 10
    assert np.array_equal(made.ws, ws_for_seeds(generator, [7, 3], 0.7).numpy())
    alone = annotate_samples(generator, [3], 0.7, "f" * 64)
    assert (alone.labels[0] == made.labels[1]).mean() > 0.999 and len(np.unique(alone.labels)) > 5

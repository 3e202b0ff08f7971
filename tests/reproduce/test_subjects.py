"""What the tables are measured on: toy faces and the GAN that comes along, or published data and a GAN of one's own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.app import main
from gseg_cli.builtin import SMALL, Builtin
from gseg_cli.datasets.protocols import PROTOCOLS
from gseg_cli.datasets.splits import TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES, render
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.reproduce import stage as start
from gseg_cli.reproduce import toy
from gseg_cli.reproduce.public import PublicData
from gseg_cli.reproduce.subject import Task
from gseg_cli.reproduce.tables import TABLES
from gseg_cli.reproduce.toy import TASKS, ToyFaces
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError, ProjectError
from gseg_runtime.files import sha256_file
from tests.datasets.layouts import SHAPE, box, square, whole, write_annotated, write_face, write_list
from tests.reproduce.tiny_subject import SIZE
from tests.tiny import make_generator

CPU = torch.device("cpu")


def annotate_for(protocol: str, gan: Path, folder: Path, count: int = 3) -> Path:
    """Samples of the tiny GAN with random labels in the protocol's classes."""
    classes = PROTOCOLS[protocol].classes
    labels = np.random.default_rng(0).integers(0, len(classes), (count, 16, 16), np.uint8)
    ws = ws_for_seeds(make_generator(), range(count), 1.0).numpy()
    AnnotationSet(labels, ws, tuple(range(count)), classes, sha256_file(gan), 1.0).save(folder, source="test")
    return folder


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    root = tmp_path / "CelebAMask-HQ"
    masks = {
        "skin": square(0, 0, 448),
        "l_eye": square(100, 100),
        "hair": square(100, 100, 40),
        "nose": square(200, 200),
    }
    for number in range(4):
        write_face(root, number, masks)
    rows = [f"{n} {n} {number:06d}.jpg" for n, number in enumerate((182_638, 182_639, 1, 2))]
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(["idx orig_idx orig_file", *rows]))
    return root


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    root = tmp_path / "VOC2010"
    window = box(SHAPE, 20, 20, 50, 90)
    write_annotated(
        root,
        "a",
        [("car", box(SHAPE, 10, 10, 110, 130), {"leftside": box(SHAPE, 10, 10, 110, 130), "window_1": window})],
    )
    write_annotated(root, "b", [whole(0, 0, 40, 40)])  # too small
    write_list(root, "car_val", ["a  1", "b  1"])
    return root


def test_the_three_classes_of_toy_faces_are_eyes_mouth_and_nose() -> None:
    labels = np.array([[*range(10), IGNORE]], np.uint8)
    merged = TASKS[1].merge(labels, CLASSES)[0]
    names = [TASKS[1].classes.names[i] for i in merged[:10]]
    assert [name for name in names if name != "background"] == ["eyes", "nose", "mouth"]
    assert merged[10] == IGNORE and (TASKS[0].merge(labels, CLASSES) == labels).all()


def test_toy_faces_give_every_draw_annotations_of_its_own_that_show_every_class(monkeypatch: Any) -> None:
    monkeypatch.setattr(toy, "CHUNK", 16)
    subject = ToyFaces(Builtin(SMALL).gan, CPU)
    ten, other = (subject.annotations(TASKS[0], 10, draw) for draw in (0, 1))
    assert not set(ten.seeds) & set(other.seeds) and ten.pixel_counts.min() > 0
    one = subject.annotations(TASKS[1], 1, 0)
    assert one.seeds == ten.seeds[:1] and one.classes == TASKS[1].classes
    assert (one.labels[0] == TASKS[1].merge(ten.labels[0], CLASSES)).all()
    photo = next(subject.test(3).read(TASKS[0]))
    assert (photo.truth == render(TEST_SEEDS[0], 64)[1]).all() and photo.square.shape == (64, 64, 3)
    pairs = subject.labelled(2, 1)
    assert pairs.images.shape == (2, 64, 64, 3) and not (pairs.first == pairs.first[:1]).all()


def test_published_faces_run_through_a_table_with_a_gan_of_ones_own(
    faces: Path, tiny_gan: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(start, "QUICK", SIZE)
    annotations = annotate_for("celebamask-10", tiny_gan, tmp_path / "annotations")
    args = ["--data", str(faces), "--gan", str(tiny_gan), "--annotations", str(annotations), "--quick", "--draws", "1"]
    assert main(["reproduce", "table2", *args, "-o", str(tmp_path / "out"), "--device", "cpu", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    page = Path(data["pages"]["table2"])
    text = page.read_text(encoding="utf-8")
    assert page.name == "table2-celebamask-10-quick.md" and data["computed"] == 3
    assert "| by inversion |" in text and "| auto-shot |" in text
    assert "| the paper, auto-shot | 10 | SLiMe, table 4 | 15.5 |" in text, "beside what others report"
    assert str(tmp_path) not in text
    assert main(["info", str(tmp_path / "out")]) == 0


def test_published_faces_are_merged_by_the_protocol_of_each_task(faces: Path, tiny_gan: Path, tmp_path: Path) -> None:
    subject = PublicData(faces, tiny_gan, annotate_for("celebamask-10", tiny_gan, tmp_path / "annotations"), CPU)
    ten, three = (next(subject.test(None).read(task)).truth for task in subject.tasks)
    assert subject.test(None).count == 2 and ten.shape == three.shape == (512, 512)
    # Hair lies over the eye, but is none of the three classes.
    assert subject.tasks[0].classes.names[ten[110, 110]] == "hair"
    assert subject.tasks[1].classes.names[three[110, 110]] == "eye"
    draws = [subject.annotations(subject.tasks[1], 1, draw) for draw in range(4)]
    assert [a.seeds for a in draws] == [(0,), (1,), (2,), (0,)] and draws[0].labels.max() <= 3
    assert subject.num_labelled == 2 and subject.labelled(2, 0).images.shape == (2, 16, 16, 3)
    with pytest.raises(GsegError, match="only 2 of 3 labelled photos"):
        subject.labelled(3, 0)


def test_cars_stand_beside_the_published_figures(
    cars: Path, tiny_gan: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(start, "QUICK", SIZE)
    annotations = annotate_for("pascal-car", tiny_gan, tmp_path / "annotations")
    args = ["--data", str(cars), "--gan", str(tiny_gan), "--annotations", str(annotations), "--quick", "--draws", "1"]
    assert main(["reproduce", "table4", *args, "-o", str(tmp_path / "out"), "--device", "cpu"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[:2] for row in rows[1:4]] == [
        ["| **gseg, auto-shot**", "1"], ["| **gseg, auto-shot**", "2"], ["| the paper, auto-shot", "10"],
    ]  # fmt: skip
    assert len({row.count("|") for row in rows}) == 1
    assert main(["reproduce", "table5", *args, "-o", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "error: table5: is only measured on pascal-horse, not on pascal-car" in captured.err
    assert "Shape+Appearance" in captured.out


def test_annotations_of_another_gan_or_with_other_classes_are_refused(
    cars: Path, tiny_gan: Path, tmp_path: Path
) -> None:
    strange = annotate_for("pascal-car", Path(__file__), tmp_path / "strange")
    with pytest.raises(ProjectError, match="its samples come from GAN"):
        PublicData(cars, tiny_gan, strange, CPU)
    other = AnnotationSet.load(strange)
    labels = np.zeros_like(other.labels)
    classes = ClassMap.of_names(["background", "hull"])
    AnnotationSet(labels, other.ws, other.seeds, classes, sha256_file(tiny_gan), 1.0).save(
        tmp_path / "hull", source="x"
    )
    with pytest.raises(GsegError, match="expected the classes of a protocol, got background, hull") as error:
        PublicData(cars, tiny_gan, tmp_path / "hull", CPU)
    assert "pascal-car: background, body" in (error.value.hint or "")


def test_an_unknown_table_is_a_usage_error_that_names_the_known(capsys: Any) -> None:
    assert main(["reproduce", "table7"]) == 2
    shown = capsys.readouterr().err
    assert "'table7' is not one of" in shown and all(f"'{name}'" in shown for name in (*TABLES, "all"))


def test_without_its_data_a_table_says_what_is_needed_and_shows_what_others_report(capsys: Any, tmp_path: Path) -> None:
    assert main(["reproduce", "table4", "-o", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "| Ordinal Multitask Part Segmentation | all |" in captured.out and "| SLiMe | 10 |" in captured.out
    assert "hint: gseg reproduce table4 --data DIR --gan FILE --annotations DIR: PASCAL-Part" in captured.err
    assert not (tmp_path / "out").exists()
    assert main(["reproduce", "table6", "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"] == "error" and "RefineNet" in answer["data"]["published"]
    assert main(["reproduce", "table4", "--data", str(tmp_path)]) == 2
    assert "--data: expected --gan and --annotations with it" in capsys.readouterr().err


def test_a_task_takes_classes_by_name_whatever_their_order() -> None:
    task = Task("two", ClassMap.of_names(["background", "nose", "eyes"]))
    given = ClassMap.of_names(["background", "eyes", "hair", "nose"])
    assert task.merge(np.array([[0, 1, 2, 3, IGNORE]], np.uint8), given).tolist() == [[0, 2, 0, 1, IGNORE]]

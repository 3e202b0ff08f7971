"""`gseg reproduce`: every figure is computed once, whatever asks for it, and the tables hold the figures."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean

import pytest
import torch

from gseg_cli.evaluate.result_cache import ResultCache
from gseg_cli.reproduce.inversions import inverted_photos
from gseg_cli.reproduce.jobs import TEACHER, folder_of, inversion, student, supervised, teacher
from gseg_cli.reproduce.run import Report, reproduce
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.tables import TABLES
from gseg_cli.steps import OnStep
from gseg_runtime.errors import GsegError
from gseg_runtime.files import read_json
from tests.reproduce.tiny_subject import SIZE, TinySubject

FACES = ["table1", "table2", "table3", "figure6", "geometry"]


class Killed(BaseException):
    """What no code catches."""


def run(setup: Setup, names: list[str], *, stop_after: int = 10**6, said: list[str] | None = None) -> Report:
    """Make the tables, killed before another job is begun."""
    begun: list[str] = []

    @contextmanager
    def stage(title: str, unit: str) -> Iterator[OnStep]:
        begun.append(title)
        if len(begun) > stop_after:
            raise Killed
        yield lambda step: None

    tables = [TABLES[name] for name in names]
    return reproduce(tables, setup, stage, command="gseg reproduce all", say=(said if said is not None else []).append)


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*-*.json"))}


@pytest.fixture(scope="module")
def done(tiny_gan: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Setup, Report, list[str]]:
    setup, said = Setup(TinySubject(tiny_gan), SIZE, tmp_path_factory.mktemp("reproduce") / "out"), []
    return setup, run(setup, FACES, said=said), said


def test_all_tables_of_faces_are_written_from_figures_that_each_were_computed_once(done) -> None:
    setup, report, said = done
    assert (list(report.pages), report.kept) == (FACES, 0)
    cells = stamps(setup.folder / "cells")
    assert not (setup.folder / "pairs").exists(), "what only the training needed is gone"
    models, tasks, shots, draws, labels, views = 2, 2, 2, 2, 2, 4
    few = models * tasks * shots * draws
    assert report.computed == len(cells) == (1 + views) + few + (shots + 1) * draws + labels * draws + draws
    for name, path in report.pages.items():
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"## {TABLES[name].title}") and f"({name}.png)" in text and "nan" not in text
        assert (setup.folder / f"{name}.png").is_file()
    assert re.search(r"estimated time on this machine: \d", "\n".join(said))


def test_the_figures_in_a_table_are_mean_and_spread_of_its_cells(done) -> None:
    setup, report, _ = done
    task = setup.subject.tasks[1]
    values = [teacher(setup, "cnn-s", task, 2, draw).figures["test"]["weighted_iou"] for draw in (0, 1)]
    row = next(line for line in report.pages["table1"].read_text().splitlines() if "| 2 classes | cnn-s |" in line)
    assert row.endswith(f"| {mean(values):.3f} ± {abs(values[0] - values[1]) / 2**0.5:.3f} |")
    truths = [figures["per_class_iou"] for figures in (teacher(setup, TEACHER, task, 1, 0).figures["test"],)]
    assert list(truths[0]) == ["dark", "light"]


def test_what_is_there_is_not_computed_again(done) -> None:
    setup, report, _ = done
    before = stamps(setup.folder)
    again = run(Setup(setup.subject, SIZE, setup.folder), FACES, stop_after=0)
    assert (again.computed, again.kept) == (0, report.computed)
    assert stamps(setup.folder) == before
    more = run(Setup(setup.subject, replace(SIZE, labels=(1, 2, 3)), setup.folder), ["figure6"])
    assert more.computed == SIZE.draws, "only the supervised networks of the new number of labels"


def test_a_killed_run_goes_on_and_computes_no_cell_twice(tiny_gan: Path, tmp_path: Path) -> None:
    setup = Setup(TinySubject(tiny_gan), replace(SIZE, draws=1), tmp_path / "out")
    with pytest.raises(Killed):
        run(setup, ["table2"], stop_after=2)
    before = stamps(setup.folder)
    assert len(before) == 2 and not list(setup.folder.glob("*.md"))
    report = run(setup, ["table2"])
    assert (report.computed, report.kept) == (1, 2)
    assert before.items() <= stamps(setup.folder).items()


def test_without_matplotlib_nothing_is_computed(tiny_gan: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match="matplotlib"):
        run(Setup(TinySubject(tiny_gan), SIZE, tmp_path / "out"), ["table1"], stop_after=0)
    assert not (tmp_path / "out").exists()


def test_photos_that_were_inverted_before_a_kill_are_not_inverted_again(tiny_gan: Path, tmp_path: Path) -> None:
    setup = Setup(TinySubject(tiny_gan), SIZE, tmp_path / "out")
    job = inversion(setup, setup.test)

    def kill(step) -> None:
        raise Killed

    with pytest.raises(Killed):
        job.run(kill)
    (first,) = folder_of(job).iterdir()
    stamp = first.stat().st_mtime_ns
    figures = job.run(lambda step: None)["figures"]
    assert figures["photos"] == SIZE.num_photos and figures["cpu_s_per_photo"] > 0
    assert len(list(folder_of(job).iterdir())) == 2 and first.stat().st_mtime_ns == stamp


def test_a_device_of_other_batches_takes_no_photo_for_another(tiny_gan: Path, tmp_path: Path, monkeypatch) -> None:
    setup, folder = Setup(TinySubject(tiny_gan), SIZE, tmp_path / "out"), tmp_path / "inversions"

    def ws() -> torch.Tensor:
        parts = inverted_photos(setup.inverter, setup.test, setup.subject.tasks[0], folder)
        return torch.cat([part.inversion.ws for part in parts])

    usual = ws()
    assert {path.name for path in folder.iterdir()} == {"00000.safetensors", "00001.safetensors"}
    monkeypatch.setattr("gseg_cli.gan.inversion.inverter.default_batch", lambda size, kind: 3)
    torch.testing.assert_close(ws(), usual, rtol=0, atol=1e-3)
    assert len(list(folder.glob("*-of-3.safetensors"))) == -(-len(usual) // 3)


def test_another_config_is_another_cell_and_the_same_is_the_same(done) -> None:
    setup, _, _ = done
    task = setup.subject.tasks[0]

    def paths(s: Setup) -> list[Path]:
        return [teacher(s, TEACHER, task, 1, 0).path, student(s, 1, 0).path, supervised(s, 1, 0).path]

    same = Setup(setup.subject, SIZE, setup.folder)
    assert paths(same) == paths(setup)
    assert student(setup, 1, 0, "paper").path != student(setup, 1, 0).path
    for changed in (replace(SIZE, max_steps=4), replace(SIZE, num_photos=7)):
        assert not set(paths(Setup(setup.subject, changed, setup.folder))) & set(paths(setup))
    fewer_pairs = Setup(setup.subject, replace(SIZE, pairs=replace(SIZE.pairs, count=7)), setup.folder)
    assert [a == b for a, b in zip(paths(fewer_pairs), paths(setup), strict=True)] == [True, False, True]


def counted(asked: list[int]) -> dict[str, int]:
    asked.append(1)
    return {"number": len(asked)}


def test_a_cell_belongs_to_its_code_and_its_gan(tmp_path: Path) -> None:
    store, asked = ResultCache(tmp_path), []

    def figures(gan: str, *by: type) -> int:
        return store.cell("x", {"a": 1}, partial(counted, asked), gan, *by)["figures"]["number"]

    known = figures("gan", Setup)
    assert figures("gan", Setup) == known
    assert figures("gan", TinySubject) != known != figures("other gan", Setup)
    assert len(asked) == len(list(tmp_path.iterdir())) == 3
    kept = read_json(next(tmp_path.iterdir()))
    assert {"config", "code", "gan_sha256", "date", "commit", "hardware", "seconds", "figures"} == set(kept)


def test_a_folder_with_something_else_is_left_alone(tiny_gan: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(GsegError, match="not a folder of gseg reproduce"):
        run(Setup(TinySubject(tiny_gan), SIZE, tmp_path), ["table2"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

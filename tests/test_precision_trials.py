"""`--precision auto` on a CPU: the quicker of two is measured once, remembered, and never asked for again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gseg_cli import precision_trials
from gseg_cli.app import main
from gseg_cli.distill import precision as of_students
from gseg_cli.distill.config import DistillConfig, StudentConfig
from gseg_cli.gan.training import precision as of_gans
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.options import precision_trials as precision_trials_file
from gseg_cli.precision_trials import PRECISIONS, ROUNDS, Trial, Work, machine, measure, remembered, try_once
from gseg_runtime.files import read_json
from tests.tiny import write_photos

CPU, GPU = torch.device("cpu"), torch.device("cuda")
AUTO = StudentConfig()
GAN = GanTrainConfig(resolution=16, channel_base=128, channel_max=16, z_dim=16, batch=4)


def never(precision: str) -> Work:
    raise AssertionError("measured again")


def clock_of(seconds: list[float]) -> Callable[[], float]:
    """Says at each second call that so much has passed since the call before."""
    times: Iterator[float] = iter([time for s in seconds for time in (0.0, s)])
    return lambda: next(times)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "precision.json"


@pytest.fixture(params=[(1.0, 2.0, "bf16"), (2.0, 1.0, "fp32"), (0.99, 1.0, "fp32")])
def timings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The precision that stand-in timings speak for."""
    bf16, fp32, quicker = request.param
    monkeypatch.setattr(precision_trials, "measure", lambda start: {"bf16": bf16, "fp32": fp32})
    for module in (of_students, of_gans):
        monkeypatch.setattr(module, "has_bf16", lambda device: True)
    return quicker


def test_auto_takes_the_quicker_precision_and_bfloat16_only_where_it_gains(timings: str, file: Path) -> None:
    assert of_students.settle_precision(AUTO, 64, CPU, file).train.precision == timings
    assert of_gans.settle_precision(GAN, CPU, file).precision == timings


def test_an_explicit_precision_and_a_gpu_are_left_alone(timings: str, file: Path) -> None:
    asked = StudentConfig(train=DistillConfig(precision="bf16" if timings == "fp32" else "fp32"))
    assert of_students.settle_precision(asked, 64, CPU, file) == asked
    assert of_students.settle_precision(AUTO, 64, GPU, file) == AUTO
    assert of_gans.settle_precision(GAN, GPU, file) == GAN
    assert not file.exists()


def test_without_bfloat16_nothing_is_measured(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    for module in (of_students, of_gans):
        monkeypatch.setattr(module, "has_bf16", lambda device: False)
    monkeypatch.setattr(precision_trials, "measure", never)
    assert of_students.settle_precision(AUTO, 64, CPU, file).train.precision == "fp32"
    assert of_gans.settle_precision(GAN, CPU, file).precision == "fp32"


def test_a_trial_is_remembered_by_work_and_threads(timings: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = try_once("distill", 1, never, file)
    monkeypatch.setattr(precision_trials, "measure", lambda start: {"bf16": 5.0, "fp32": 7.0})
    assert try_once("distill", 1, never, file) == first
    others = [try_once("distill", 2, never, file), try_once("gan-train", 1, never, file)]
    assert remembered(file) == [first, *others] and {trial.bf16 for trial in others} == {5.0}


def test_another_machine_or_pytorch_measures_anew(timings: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = try_once("distill", 1, never, file)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(precision_trials, "machine", lambda: "another")
        assert remembered(file) == []
        try_once("distill", 1, never, file)
    with monkeypatch.context() as later:
        later.setattr(torch, "__version__", "99.0")
        assert try_once("distill", 1, never, file).torch == "99.0"
    assert [trial.torch for trial in remembered(file)] == [first.torch, "99.0"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", '{"format": 9}', '{"format": 1, "MACHINE": 3}', '{"format": 1, "MACHINE": [{"work": 1}]}',
     '{"format": 1, "MACHINE": [{"work": "w", "torch": "2", "threads": 1, "bf16": NaN, "fp32": 1}]}'],
)  # fmt: skip
def test_a_damaged_file_is_replaced(timings: str, content: str, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(content.replace("MACHINE", machine()))
    assert remembered(file) == []
    trial = try_once("distill", 1, never, file)
    assert remembered(file) == [trial]


def test_without_a_place_to_remember_it_is_measured_each_time(timings: str, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    for nowhere in (None, tmp_path / "a file" / "precision.json"):
        assert try_once("distill", 1, never, nowhere).quicker == timings


def test_the_least_of_some_rounds_counts_and_both_take_turns() -> None:
    turns: list[str] = []

    def start(precision: str) -> Work:
        return lambda: turns.append(precision)

    assert measure(start, clock_of([3, 5, 1, 9, 2, 4])) == {"fp32": 1, "bf16": 4}
    assert turns == [*PRECISIONS] * (ROUNDS + 1)  # the first calls are not counted


def test_real_steps_are_measured_in_both_precisions_and_leave_random_numbers_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_trials, "measure", measure)
    for module in (of_students, of_gans):
        monkeypatch.setattr(module, "has_bf16", lambda device: True)
    before, said = torch.random.get_rng_state(), []
    tiny = replace(AUTO, train=replace(AUTO.train, student="tiny"))
    settled = of_students.settle_precision(tiny, 16, CPU, file, said.append)
    of_gans.settle_precision(GAN, CPU, file, said.append)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [trial.work.split()[1] for trial in remembered(file)] == ["tiny", GAN.arch]
    assert said[0].startswith(f"precision: {settled.train.precision} for training tiny at 16 px")


def test_the_doctor_shows_what_was_measured(timings: str, capsys: pytest.CaptureFixture[str]) -> None:
    work = f"gan-train for the doctor, {timings}"
    trial = try_once(work, 1, never, precision_trials_file())
    main(["doctor"])
    assert f"ok: --precision auto: {trial.quicker} for {work} (a trial step took" in capsys.readouterr().out


def test_a_gan_run_records_what_auto_came_to_and_goes_on_with_it(
    timings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, runs = write_photos(tmp_path / "photos"), tmp_path / "runs"
    sizes = ["--resolution", "16", "--channel-base", "128", "--batch", "4", "--held-out", "0", "--kimg", "0.004"]
    args = ["gan-train", str(photos), "--runs", str(runs), "--device", "cpu"]
    monkeypatch.setattr("gseg_cli.commands.gan_train.precision_trials", lambda: tmp_path / "precision.json")
    assert main([*args, *sizes]) == 0
    assert read_json(runs / "0001-gan" / "config.json")["config"]["precision"] == timings
    monkeypatch.setattr(of_gans, "settle_precision", never)
    assert main([*args, "--resume", "--precision", "auto", "--kimg", "0.008"]) == 0
    other = "bf16" if timings == "fp32" else "fp32"
    assert main([*args, "--resume", "--precision", other]) == 1


def test_a_trial_of_no_time_is_no_trial() -> None:
    with pytest.raises(ValueError, match="expected seconds"):
        Trial("distill", "2.13", 1, 0.0, 1.0)

"""A distillation that is killed goes on as if it had not been, and many processes distil what one does."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
import torch

from gseg_cli.app import main
from gseg_cli.checkpoint import load_checkpoint
from gseg_cli.distill import pairs as pairs_module
from gseg_cli.distill import stage as module
from gseg_cli.distill import train
from gseg_cli.distill.config import AugmentConfig, DistillConfig, PairsConfig, StudentConfig, from_saved
from gseg_cli.distill.stage import resume_distill, run_distill
from gseg_cli.distill.train import STATE
from gseg_cli.distill.trainer import one_cycle
from gseg_cli.interruption import Interrupted
from gseg_cli.runs import Run
from gseg_runtime.errors import CheckpointError, ConfigError, GsegError, ProjectError, UsageError
from gseg_runtime.files import read_json, write_json
from tests.tiny import write_gan

CPU = torch.device("cpu")
# In float32, with all that is random, and a state after every step.
TRAIN = DistillConfig(
    student="tiny", steps=24, batch=8, microbatch=4, precision="fp32", augment=AugmentConfig(background=0.3),
    loss="dice", labels="agreed", save_minutes=0.0,
)  # fmt: skip
CONFIG = StudentConfig(pairs=PairsConfig(count=12), train=TRAIN)
SCRIPT = """
import json, sys, time, torch
from pathlib import Path
from gseg_cli.distill import pairs, stage, train
from gseg_cli.distill.config import from_saved
from gseg_cli.distill.stage import run_distill
from gseg_cli.world import join_world
torch.set_num_threads(1)
stage.NUM_HELD_OUT, pairs.SHARD, train.REPORT_STEPS = 4, 4, 1
gan, teacher, runs = map(Path, sys.argv[1:4])
with join_world("cpu") as (world, device):
    run_distill(
        gan, teacher, from_saved(json.loads(sys.argv[4]), runs), runs, device, world=world,
        on_step=lambda step: time.sleep(float(sys.argv[5])),
    )
"""


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "NUM_HELD_OUT", 4)
        patch.setattr(pairs_module, "SHARD", 4)
        patch.setattr(train, "REPORT_STEPS", 1)  # the loss of each step is compared
        yield


@pytest.fixture(scope="module")
def whole(tiny_gan, teacher, tmp_path_factory):
    """The run that nothing happened to, and the loss of each of its steps."""
    torch.set_num_threads(1)
    steps = []
    done = run_distill(tiny_gan, teacher, CONFIG, tmp_path_factory.mktemp("whole"), CPU, on_step=steps.append)
    return done, losses(steps)


def losses(steps):
    return {step.done: step.values["loss"] for step in steps}


def metrics(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"], row.get("held_out_miou")) for row in rows]


def start(folder, gan, teacher, launcher=(), pause_s=0.0):
    script = folder / "distil.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    args = [gan, teacher, folder / "runs", json.dumps(asdict(CONFIG)), pause_s]
    command = [sys.executable, *launcher, str(script), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def assert_same_weights(one, other, tolerance=0.0):
    expected, actual = (load_checkpoint(path)[0] for path in (one, other))
    for name, value in expected.items():
        if name.endswith("num_batches_tracked"):  # of one process's microbatches; nothing reads it
            continue
        torch.testing.assert_close(actual[name], value, rtol=0, atol=tolerance, msg=name)


def test_ctrl_c_saves_the_state_and_resume_goes_on_as_if_it_had_not_been(
    tiny_gan, teacher, whole, tmp_path, hears_ctrl_c
):
    def press_at_ten(step):
        if step.done == 10:
            signal.raise_signal(signal.SIGINT)

    config = replace(CONFIG, train=replace(TRAIN, save_minutes=5.0))
    with pytest.raises(Interrupted):
        run_distill(tiny_gan, teacher, config, tmp_path, CPU, on_step=press_at_ten)
    steps = []
    done = resume_distill({}, tmp_path, CPU, on_step=steps.append)
    assert min(losses(steps)) == 11 and losses(steps).items() <= whole[1].items()
    assert_same_weights(whole[0].checkpoint, done.checkpoint)


def test_a_distillation_killed_in_its_steps_goes_on_as_if_it_had_not_been(tiny_gan, teacher, whole, tmp_path):
    process, run = start(tmp_path, tiny_gan, teacher, pause_s=0.1), tmp_path / "runs" / "0001-distill"
    while not (run / STATE).is_file():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.kill()
    process.communicate()
    steps = []
    done = resume_distill({"steps": 24, "loss": "dice"}, tmp_path / "runs", CPU, on_step=steps.append)
    got = losses(steps)
    assert min(got) > 1 and max(got) == 24 and got == {step: whole[1][step] for step in got}
    assert_same_weights(whole[0].checkpoint, done.checkpoint)
    assert metrics(run) == metrics(whole[0].run) and not (run / STATE).exists()
    again = resume_distill({}, tmp_path / "runs", CPU, on_step=steps.append)
    assert again == done and len(steps) == len(got)  # nothing was left to do


def test_a_run_that_still_trains_is_not_resumed_beside_it(tiny_gan, teacher, tmp_path):
    process, run = start(tmp_path, tiny_gan, teacher, pause_s=0.1), tmp_path / "runs" / "0001-distill"
    while not (run / STATE).is_file():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    with pytest.raises(GsegError, match="0001-distill: another process is training in this run"):
        resume_distill({}, tmp_path / "runs", CPU)
    process.kill()
    process.communicate()
    assert resume_distill({}, tmp_path / "runs", CPU).checkpoint.is_file()


def test_two_processes_distil_what_one_does(tiny_gan, teacher, whole, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = start(tmp_path, tiny_gan, teacher, launcher)
    error = process.communicate()[1]
    assert process.returncode == 0, error
    run = tmp_path / "runs" / "0001-distill"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.name]
    assert sorted(path.name for path in (run / "pairs").glob("*.npz")) == ["00000.npz", "00001.npz", "00002.npz"]
    for one, two in zip(metrics(whole[0].run), metrics(run), strict=True):
        assert two[0] == one[0] and two[1] == pytest.approx(one[1], abs=1e-4)
    assert_same_weights(whole[0].checkpoint, run / "checkpoint.safetensors", tolerance=1e-3)


def test_a_run_killed_while_it_made_pairs_is_resumed(tiny_gan, teacher, whole, tmp_path):
    def interrupt(step):
        if step.done > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_distill(tiny_gan, teacher, CONFIG, tmp_path, CPU, on_pairs=interrupt)
    assert_same_weights(whole[0].checkpoint, resume_distill({}, tmp_path, CPU).checkpoint)


@pytest.fixture
def interrupted(tiny_gan, teacher, tmp_path):
    def interrupt(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_distill(tiny_gan, teacher, CONFIG, tmp_path, CPU, on_step=interrupt)
    return tmp_path


def test_resume_with_other_options_or_files_is_refused_by_name(interrupted, tiny_gan, tmp_path):
    with pytest.raises(ConfigError, match=r"drop was 0\.1 when this run started, now 0\.2"):
        resume_distill({"drop": 0.2}, interrupted, CPU)
    with pytest.raises(ConfigError, match=r"scale_min was 0\.8 when this run started, now 0\.5"):
        resume_distill({"geometry": "paper"}, interrupted, CPU)
    other = write_gan(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(CheckpointError, match=r"other\.safetensors: the run was started with .*, this is "):
        resume_distill({}, interrupted, CPU, gan=other)
    with pytest.raises(ProjectError, match="no distill run to resume"):
        resume_distill({}, tmp_path / "empty", CPU)
    run = Run(interrupted / "0001-distill")
    assert from_saved(run.saved()[0], run.config) == CONFIG


def with_config(about, **changes):
    return {**about, "config": {**about["config"], **changes}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: [], "expected config and parents"),
        (lambda about: with_config(about, train=[]), r"train: expected an object, got \[\]"),
        (lambda about: with_config(about, train={"lr": "0.01"}), r"train\.lr: expected a number, got '0\.01'"),
        (lambda about: with_config(about, pairs={"count": 1.5}), r"pairs\.count: expected a whole number, got 1\.5"),
        (lambda about: with_config(about, train={"batch": 0}), r"train\.batch: expected 1 or more, got 0"),
        (lambda about: with_config(about, train={"drop": 1.5}), r"train\.drop: expected 0 to 1, got 1\.5"),
        (lambda about: with_config(about, pairs={"count": -4}), r"pairs\.count: expected 0 or more, got -4"),
        (lambda about: with_config(about, pairs={"size": 8, "hue": 1}), "not the config of a student: .*'hue'"),
        (lambda about: {**about, "parents": about["parents"][:1]}, "parents: expected one of kind fewshot"),
    ],
)
def test_a_config_that_was_edited_is_an_error_that_names_the_file(interrupted, change, message):
    run = Run(interrupted / "0001-distill")
    about = read_json(run.config)
    write_json(run.config, change(about))
    with pytest.raises(ConfigError, match=message) as caught:
        resume_distill({}, interrupted, CPU)
    assert caught.value.message.startswith(f"{run.config}: ") and "put it back" in caught.value.hint


def test_time_instead_of_steps_ends_the_schedule_when_it_is_over(tiny_gan, teacher, tmp_path):
    config = replace(CONFIG, train=replace(TRAIN, minutes=0.03, steps=1))
    steps = []
    run_distill(tiny_gan, teacher, config, tmp_path, CPU, on_step=steps.append)
    assert steps[-1].done == steps[-1].total > 1
    assert [step for step in steps if step.total < step.done] == []


def test_the_schedule_is_one_cycle_of_pytorch():
    parameter = torch.nn.Parameter(torch.zeros([]))
    optimizer = torch.optim.AdamW([parameter], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=101, pct_start=11 / 101)
    for step in range(101):  # PyTorch ends its first phase a step early: at step 10
        group = optimizer.param_groups[0]
        assert one_cycle(step / 100) == pytest.approx((group["lr"], group["betas"][0]), abs=1e-6)
        if step < 100:
            optimizer.step()
            schedule.step()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "5", "--minutes", "1"], "--steps and --minutes cannot be used together"),
        (["--loss", "mse"], "'mse' is not one of 'ce', 'dice', 'balanced', 'focal'"),
        (["--student", "huge"], "'huge' is not one of 'tiny', 'default', 'paper'"),
        (["--labels", "firm"], "'firm' is not one of 'soft', 'hard'"),
    ],
)
def test_the_command_refuses_wrong_options_before_any_work(options, message, tmp_path, capsys):
    assert main(["distill", "--runs", str(tmp_path / "runs"), *options]) == UsageError.exit_code
    assert message in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_a_batch_that_processes_cannot_share_is_refused(tiny_gan, teacher, tmp_path):
    config = replace(CONFIG, train=replace(TRAIN, microbatch=3))
    with pytest.raises(ConfigError, match="batch 8 in microbatches of 3 cannot be shared evenly"):
        run_distill(tiny_gan, teacher, config, tmp_path, CPU)


def test_a_microbatch_that_is_no_part_of_the_usual_batch_is_refused_before_a_pair_is_made(
    tiny_gan, teacher, tmp_path, capsys
):
    files = ["--gan", str(tiny_gan), "--teacher", str(teacher), "--runs", str(tmp_path / "runs")]
    assert main(["distill", *files, "--student", "tiny", "--microbatch", "5", "--device", "cpu"]) == 1
    assert "batch 16 in microbatches of 5 cannot be shared evenly" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()

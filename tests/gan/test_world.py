"""Many processes train what one does, and a process that is killed loses nothing but time."""

import json
import os
import random
import subprocess
import sys
import time

import pytest
import torch

from gseg_cli.checkpoint import load_checkpoint
from gseg_cli.gan.training.train import STATE
from gseg_cli.world import must_share
from tests import tiny

KIMG = 0.16  # 20 steps
PATIENCE_S = 200
# Tiny, in float32, with every kind of step, and ADA from the start.
TRAIN = """
import sys, torch
from pathlib import Path
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.stage import newest_run, resume_gan_train, run_gan_train
from gseg_cli.world import join_world
torch.set_num_threads(1)
photos, runs, kimg, how = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
config = GanTrainConfig(
    resolution=16, channel_base=128, channel_max=16, z_dim=16, batch=8, microbatch=4, precision="fp32", r1_interval=4,
    pl_weight=2.0, pl_interval=5, augment="ada", ada_target=-1.0, ada_kimg=0.5, kimg=kimg, held_out=4,
    snapshot_minutes=0.0 if how != "whole" else 5.0,
)
with join_world(sys.argv[5]) as (world, device):
    if how == "resume":
        resume_gan_train(photos, {"kimg": kimg, "snapshot_minutes": 0.0}, runs, device, world=world)
    else:
        run_gan_train(photos, config, runs, device, world=world)
threads = [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
assert not [name for name in threads if "gloo" in name], threads  # they abort the process at its end now and then
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return tiny.write_photos(tmp_path_factory.mktemp("data") / "photos", count=40)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "train.py"
    path.write_text(TRAIN)
    return path


def metrics(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row for row in rows if "loss_D" in row}


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def start(script, *args, launcher=()):
    command = [sys.executable, *launcher, str(script), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def finish(process):
    try:
        error = process.communicate(timeout=PATIENCE_S)[1]
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its processes with itself
        pytest.fail(f"still at work after {PATIENCE_S} seconds: {process.communicate()[1]}")
    assert process.returncode == 0, error


@pytest.fixture(scope="module")
def whole(photos, script, device, tmp_path_factory):
    """The run of one process that nothing happened to."""
    runs = tmp_path_factory.mktemp("whole")
    finish(start(script, photos, runs, KIMG, "whole", device))
    return runs / "0001-gan"


def test_two_processes_take_the_steps_of_one(photos, script, whole, device, tmp_path):
    """On a machine with one GPU they share it."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    finish(start(script, photos, tmp_path, KIMG, "whole", device, launcher=launcher))
    assert [path.name for path in tmp_path.iterdir()] == ["0001-gan"]  # no second run, no pixels left behind
    one, two = (metrics(run)[160] for run in (whole, tmp_path / "0001-gan"))
    for name in ("loss_D", "loss_G", "r1", "path_length"):
        assert two[name] == pytest.approx(one[name], abs=1e-4 if device.type == "cpu" else 1e-2), name
    assert two["p"] == one["p"] > 0
    expected, actual = (load_checkpoint(run / STATE)[0] for run in (whole, tmp_path / "0001-gan"))
    limit = 1e-3 if device.type == "cpu" else 1e-2  # a GPU's sums are of another order each time
    assert all((actual[key] - value).abs().max() < limit for key, value in expected.items() if key.startswith("G_ema."))


@pytest.mark.parametrize(
    ("num_gpus", "num_here", "num_all", "shared"),
    [(1, 2, 2, True), (4, 8, 8, True), (2, 2, 2, False), (8, 2, 2, False), (4, 8, 16, False)],
)
def test_gpus_are_shared_where_all_processes_are_on_a_machine_with_too_few(
    num_gpus, num_here, num_all, shared, monkeypatch
):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(num_here))
    monkeypatch.setenv("WORLD_SIZE", str(num_all))
    assert must_share(num_gpus) is shared


@pytest.mark.parametrize("device", ["cpu"], indirect=True)  # to the last bit, which a GPU does not promise
def test_a_training_killed_at_any_moment_goes_on_as_if_it_had_not_been(photos, script, whole, device, tmp_path):
    draw, run = random.Random(0), tmp_path / "0001-gan"
    for how in ("start", "resume"):
        process = start(script, photos, tmp_path, KIMG, how, device)
        kill_after_a_snapshot(process, run / STATE, draw)
    finish(start(script, photos, tmp_path, KIMG, "resume", device))
    expected, actual = (load_checkpoint(folder / STATE)[0] for folder in (whole, run))
    assert expected.keys() == actual.keys() and int(actual["num_steps"]) == 20
    for key, value in expected.items():
        assert torch.equal(actual[key], value), key
    names = ("loss_D", "loss_G", "r1", "p")
    assert [metrics(run)[160][name] for name in names] == [metrics(whole)[160][name] for name in names]


def kill_after_a_snapshot(process, state, draw):
    """Somewhere in the steps, the measuring or the writing after it: a snapshot is made at every step."""
    before = state.stat().st_mtime_ns if state.is_file() else None
    while not state.is_file() or state.stat().st_mtime_ns == before:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    time.sleep(draw.uniform(0.0, 0.4))
    process.kill()
    process.communicate()

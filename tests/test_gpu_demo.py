"""The whole flow on a GPU."""

import json

import pytest

from gseg_cli.app import main
from tests.gpu import only_on_a_gpu


@pytest.mark.slow
@only_on_a_gpu
def test_the_quick_demo_runs_on_a_gpu(device, tmp_path, capsys):
    assert main(["demo", "--quick", "-o", str(tmp_path / "demo"), "--device", str(device), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["data"]
    # All background, the best constant answer, would have a tenth of the background's share.
    assert figures["miou_student"] > 0.15 and figures["miou_teacher"] > 0.3 and 0 < figures["held_out_miou"] <= 1
    assert len(list((tmp_path / "demo" / "project" / "masks").glob("*.png"))) == 24

"""FID is offered, never assumed: what is missing is said before training begins."""

import pytest
import torch

from gseg_cli.gan.training import fid
from gseg_runtime.errors import BackendUnavailable, CheckpointError
from gseg_runtime.pip_hint import install

CPU = torch.device("cpu")


def has_torch_fidelity():
    try:
        import torch_fidelity  # noqa: F401
    except Exception:
        return False
    return True


@pytest.mark.skipif(has_torch_fidelity(), reason="torch-fidelity is installed")
def test_without_torch_fidelity_the_package_to_install_is_named(tmp_path):
    with pytest.raises(BackendUnavailable, match="FID needs torch-fidelity") as caught:
        fid.Inception(tmp_path / "weights.pth", CPU)
    assert caught.value.hint == install("fid")


@pytest.mark.skipif(not has_torch_fidelity(), reason="torch-fidelity is not installed")
def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    for name in ("missing.pth", "other.pth"):
        with pytest.raises(CheckpointError, match=name) as caught:
            fid.Inception(tmp_path / name, CPU)
        assert "weights-inception" in caught.value.hint

"""FID is offered, never assumed: what is missing is said before training begins."""

import pytest
import torch

from gseg_cli.app import main
from gseg_cli.gan.training import fid
from gseg_runtime.errors import BackendUnavailable, CheckpointError
from gseg_runtime.pip_hint import install
from tests import tiny

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


def test_weights_that_cannot_be_used_leave_no_run_behind(tmp_path, capsys, monkeypatch):
    """Of a run without a snapshot --resume would say that there is nothing to go on from."""
    monkeypatch.chdir(tmp_path)
    tiny.write_photos(tmp_path / "photos")
    (tmp_path / "junk.pth").write_bytes(b"none")
    small = ["--resolution", "8", "--channel-base", "64", "--kimg", "0.01", "--batch", "2", "--device", "cpu"]
    assert main(["gan-train", "photos", *small, "--fid-weights", "junk.pth"]) == 1
    expected = "junk.pth: its weights cannot be read" if has_torch_fidelity() else "FID needs torch-fidelity"
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_weights_are_loaded_once(tmp_path, monkeypatch):
    tiny.write_photos(tmp_path / "photos")
    loaded = []
    monkeypatch.setattr(fid.Inception, "__init__", lambda self, weights, device: loaded.append(weights))
    monkeypatch.setattr(fid.Inception, "distances", lambda self, photos, samples: {"fid": 1.0})
    small = ["--resolution", "8", "--channel-base", "64", "--kimg", "0.002", "--batch", "2", "--device", "cpu"]
    fid_weights = ["--fid-weights", str(tmp_path / "weights.pth"), "--runs", str(tmp_path / "runs")]
    assert main(["gan-train", str(tmp_path / "photos"), *small, *fid_weights]) == 0
    assert len(loaded) == 1

"""One small student is exported once, in all its variants; the tests look at the files from all sides."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.lite_net import LiteNet
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.student import load_student, save_student
from gseg_export.graph import CONFIDENCE, LABELS, LOGITS, Model, finish
from gseg_export.source import Source
from gseg_export.to_onnx import from_network, trace
from gseg_export.verification_images import clouds
from gseg_runtime.telemetry import no_telemetry
from tests.export.student import CLASSES, GAN, SIZE, plain_card, trained_net

no_telemetry()  # tests import engines by themselves, too


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("runs") / "0003-distill"
    (run / "held-out").mkdir(parents=True)
    np.savez_compressed(run / "held-out" / "00000.npz", images=clouds(size=SIZE, seed=2, count=5).images)
    save_student(run / "checkpoint.safetensors", trained_net(), CLASSES, {"parents": [GAN]})
    return run / "checkpoint.safetensors"


@pytest.fixture(scope="session")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return export_student(checkpoint, tmp_path_factory.mktemp("exports") / "model.onnx")


@pytest.fixture(scope="session")
def model(exported: dict) -> Path:
    return exported.model


@pytest.fixture(scope="session")
def full_source(checkpoint: Path) -> Source:
    """A graph with all three outputs."""
    return from_network(load_student(checkpoint)[0], plain_card(), (LABELS, CONFIDENCE, LOGITS))


@pytest.fixture(scope="session")
def full_model(full_source: Source) -> Model:
    return finish(full_source.graph, full_source.card)


@pytest.fixture(scope="session")
def lite0() -> tuple[LiteNet, onnx.ModelProto]:
    """A pretrained student's network that nobody trained, and its graph with labels and logits."""
    torch.manual_seed(0)
    net = LiteNet(NetConfig(size="lite0", num_classes=len(CLASSES), input_size=SIZE)).eval()
    return net, trace(net, SIZE, (LABELS, LOGITS))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of the kind the student knows."""
    folder = tmp_path_factory.mktemp("photos")
    for index, picture in enumerate(clouds(size=SIZE, seed=7, count=12).images):
        Image.fromarray(picture).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture
def without_torch() -> list[str]:
    """The program in a process in which PyTorch cannot be imported."""
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnxscript", "safetensors"):
            raise ImportError(f"{name} is refused")
sys.meta_path.insert(0, Refuse())
from gseg_cli.app import main
sys.exit(main(sys.argv[1:]))
"""
    return [sys.executable, "-c", code]

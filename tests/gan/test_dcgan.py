"""A DCGAN behind the same protocol: nothing in the method is tied to StyleGAN2."""

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.datasets.toy_faces.dataset import render
from gseg_cli.distill.config import DistillConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.train import fit_student
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import load_gan, load_generator, make_networks, save_gan
from gseg_cli.gan.networks.config import DCGANConfig
from gseg_cli.gan.networks.dcgan import DCGAN
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.stage import run_gan_train
from gseg_runtime.class_map import ClassMap
from gseg_runtime.metrics import confusion_matrix, mean_iou

CPU = torch.device("cpu")
CLASSES = ClassMap.of_names(["background", "face", "hair", "body"])
COARSE = np.array([0, 1, 1, 1, 1, 1, 1, 2, 3, 3], np.uint8)  # of the ten toy-face classes


def test_features_come_with_the_very_image_and_at_their_own_sizes():
    generator = DCGAN(DCGANConfig(img_resolution=16, z_dim=8, channel_base=128, channel_max=16)).eval()
    z = torch.randn(3, 8)
    ws = generator.mapping(z, 0.5)
    image, stack = generator.features(ws)
    assert torch.equal(ws[:, 0], z / 2) and ws.shape == (3, generator.num_ws, generator.w_dim)
    assert torch.equal(image, generator.synthesis(ws)) and image.shape == (3, 3, 16, 16)
    assert [m.shape[2] for m in stack.maps] == [4, 8, 16]
    assert stack.channels == generator.feature_channels == (16, 16, 8)
    assert torch.equal(torch.tanh(generator.torgb(stack.maps[-1])), image)


def test_a_checkpoint_brings_the_same_networks_back(tmp_path):
    networks = make_networks("dcgan", DCGANConfig(img_resolution=16, z_dim=8, channel_base=128, channel_max=16))
    networks[0].synthesis(torch.randn(4, 1, 8))  # moves the normalisation's statistics away from their start
    save_gan(tmp_path / "gan.safetensors", *networks, {})
    generator, discriminator = load_gan(tmp_path / "gan.safetensors")
    z = torch.randn(2, 8)
    image = networks[0].eval().synthesis(networks[0].mapping(z))
    assert torch.equal(generator.eval().synthesis(generator.mapping(z)), image)
    assert torch.equal(discriminator(image), networks[1](image))


@pytest.fixture(scope="module")
def faces():
    """300 toy faces of 32 px: images uint8 [N, 32, 32, 3] and exact labels in CLASSES."""
    images, labels = zip(*(render(seed, 32) for seed in range(300)), strict=True)
    return np.stack(images), COARSE[np.stack(labels)]


@pytest.fixture(scope="module")
def generator(faces, tmp_path_factory):
    """Trained on the faces for ten seconds or so."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("dcgan")
    (folder / "photos").mkdir()
    for i, image in enumerate(faces[0]):
        Image.fromarray(image).save(folder / "photos" / f"{i:03d}.png")
    config = GanTrainConfig(
        arch="dcgan",
        resolution=32,
        channel_base=512,
        channel_max=32,
        z_dim=32,
        lr=0.002,
        r1_gamma=0.5,
        ema_kimg=1.0,
        batch=8,
        kimg=3.0,
    )
    trained = run_gan_train(folder / "photos", config, folder / "runs", CPU)
    return load_generator(trained.checkpoint)


@pytest.fixture(scope="module")
def annotator(faces):
    """A person's stand-in: it labels pictures, and has learnt to on exact toy faces, not on the GAN's features."""
    config = DistillConfig(student="tiny", steps=150, batch=16, ema=0.9)
    return fit_student(PairSet.exact(*faces), CLASSES, config, CPU)


@pytest.mark.slow
def test_a_teacher_on_its_features_beats_chance_clearly(generator, annotator):
    """Chance is the commonest class everywhere, and a teacher whose label maps belong to other samples.

    The second knows all that can be known of faces in general, but nothing of the one it looks at.
    """
    config = FewshotConfig(model="mlp", steps=150, pixels=1024)
    held_out = range(100, 160)
    ws, truth = ws_for_seeds(generator, held_out, 1.0), annotate(annotator, generator, held_out)

    def score(labels):
        return mean_iou(confusion_matrix(labels, truth, len(CLASSES)))

    taught, misled = [], []
    for seeds in (range(5), range(5, 10)):
        labels = annotate(annotator, generator, seeds)
        for scores, maps in ((taught, labels), (misled, np.roll(labels, 1, axis=0))):
            annotations = AnnotationSet(
                maps, ws_for_seeds(generator, seeds, 1.0).numpy(), tuple(seeds), CLASSES, "0" * 64, 1.0
            )
            teacher = fit_teacher(generator, annotations, config)
            scores.append(score(predict(generator, teacher, ws).labels.numpy()))
    commonest = score(np.full_like(truth, np.bincount(truth.ravel()).argmax()))
    # Measured over eight trainings: 0.51 to 0.63 against 0.14, and 0.05 to 0.10 above the misled teacher.
    assert np.mean(taught) > commonest + 0.3
    assert np.mean(taught) > np.mean(misled) + 0.02


def annotate(annotator, generator, seeds):
    return predict_labels(annotator, to_uint8(generator.synthesis(ws_for_seeds(generator, seeds, 1.0))))

"""Projecting layer by layer is the paper's concatenation of upsampled maps, without ever building it."""

import weakref

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from gseg_cli.fewshot.features import REPRESENTATIONS, ProjectedFeatures, collect_features, gather_hypercolumns
from gseg_cli.fewshot.model import MODELS, Reading, Teacher, TeacherConfig
from gseg_cli.gan.generator import FeatureStack
from tests.tiny import make_generator

SIZES = [4, 8, 16]  # of label maps: smaller than, among, and as large as the 4 to 16 px of the maps
FEATURES = list(REPRESENTATIONS)


@pytest.fixture(scope="module")
def generator():
    return make_generator()


@pytest.fixture(scope="module")
def ws(generator):
    return generator.mapping(torch.randn(3, 16))


@pytest.fixture(scope="module")
def stack(generator, ws):
    return generator.features(ws)[1]


def hypercolumns(stack, size, features):
    """[N, sum C, size, size], the plain way: gseg's of all layers, and as the published code does it."""
    maps = []
    for x in stack.maps[1:] if features == "paper" else stack.maps:
        if x.shape[-1] > size:
            maps.append(F.interpolate(x, size=(size, size), mode="area"))
        else:
            maps.append(F.interpolate(x, (size, size), mode="bilinear", align_corners=features == "paper"))
    return torch.cat(maps, dim=1)


def standardized_projection(stack, features="all"):
    projection = ProjectedFeatures(stack.channels, 7, REPRESENTATIONS[features])
    projection.standardize(stack)
    return projection


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("size", [*SIZES, 12, 32])
def test_projection_is_the_linear_layer_on_standardized_hypercolumns(stack, size, features):
    projection = standardized_projection(stack, features)
    maps = stack.maps[1:] if features == "paper" else stack.maps
    mean = torch.cat([x.mean(dim=[0, 2, 3]) for x in maps])
    deviation = torch.cat([x.std(dim=[0, 2, 3]) for x in maps])
    plain = (hypercolumns(stack, size, features) - mean[:, None, None]) / deviation[:, None, None]
    expected = projection.linear(plain.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(projection(stack, size), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("size", [*SIZES, 12, 32])
def test_gathered_hypercolumns_are_the_resized_maps_at_those_pixels(stack, size, features):
    pixels = torch.ones(3, size, size).nonzero()  # every pixel, corners and edges too
    gathered = gather_hypercolumns(stack, size, pixels, REPRESENTATIONS[features])
    expected = hypercolumns(stack, size, features).permute(0, 2, 3, 1).flatten(0, 2)
    torch.testing.assert_close(gathered, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("features", FEATURES)
def test_training_on_pixels_and_predicting_maps_use_the_same_features(stack, features):
    projection = standardized_projection(stack, features)
    image, row, column = torch.tensor([0, 2, 1]), torch.tensor([0, 9, 15]), torch.tensor([15, 3, 0])
    columns = gather_hypercolumns(stack, 16, torch.stack([image, row, column], dim=1), REPRESENTATIONS[features])
    torch.testing.assert_close(
        projection.at_pixels(columns), projection(stack, 16)[image, :, row, column], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("size", [8, 16])
def test_features_to_learn_from_are_those_of_the_images_at_no_more_than_the_labels_size(generator, ws, stack, size):
    collected = collect_features(generator, ws, size)
    assert max(x.shape[-1] for x in collected.maps) == size
    torch.testing.assert_close(hypercolumns(collected, size, "all"), hypercolumns(stack, size, "all"))


@pytest.mark.parametrize("model", MODELS)
@torch.no_grad()
def test_a_teacher_reads_layers_as_they_are_made_and_keeps_none(generator, ws, stack, model):
    config = TeacherConfig(model=model, channels=stack.channels, num_classes=3, size=16, num_heads=2)
    teacher = Teacher(config).eval()
    reading, seen = Reading(teacher), []

    def add(x):
        assert all(layer() is None for layer in seen[:-2])  # a block still holds what it was made from
        seen.append(weakref.ref(x))
        reading.add(x)

    generator.synthesis(ws, add)
    assert len(seen) == len(stack.maps)
    torch.testing.assert_close(reading.probs(), teacher(stack))


def test_a_channel_that_never_changes_does_no_harm():
    stack = FeatureStack((torch.full((2, 3, 4, 4), 5.0), torch.randn(2, 4, 8, 8)))
    projection = standardized_projection(stack)
    assert torch.isfinite(projection(stack, 8)).all()
    columns = gather_hypercolumns(stack, 8, torch.tensor([[0, 1, 2]]), REPRESENTATIONS["all"])
    assert torch.isfinite(projection.at_pixels(columns)).all()

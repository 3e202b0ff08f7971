"""Ten real samples of the shipped GAN, and what was drawn on them."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from gseg_cli.gan.sample_set import SampleSet
from tests.annotate.exports import DATA


@pytest.fixture(scope="session")
def ten_samples():
    """64 pixels, seeds 0 to 9."""
    return SampleSet.load(DATA / "samples")


@pytest.fixture(scope="session")
def truth():
    """[10, 64, 64], filled by shapely; see data/make.py."""
    with zipfile.ZipFile(DATA / "truth.zip") as archive:
        return np.stack([np.array(Image.open(io.BytesIO(archive.read(name)))) for name in archive.namelist()])

"""A project whose samples a GAN made that nobody trained, 16 px, and somebody who paints on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import write_samples
from gseg_cli.label.app import make_app
from gseg_cli.label.gan_samples import GanSamples
from gseg_cli.label.session import Session
from gseg_cli.label.tokens import Tokens
from gseg_cli.project import Project
from tests.tiny import CLASSES

SEEDS = [3, 5, 8]
ADDRESS = "http://127.0.0.1:8777"


@pytest.fixture
def project(tmp_path: Path, tiny_gan: Path) -> Project:
    """With samples of SEEDS."""
    project = Project.create(tmp_path / "project", classes=CLASSES, gan=str(tiny_gan))
    write_samples(load_generator(tiny_gan), tiny_gan, SEEDS, 1.0, project.samples_dir)
    return project


@pytest.fixture
def session(project: Project, tiny_gan: Path) -> Iterator[Session]:
    from gseg_cli.gan.sample_set import SampleSet

    session = Session(project, GanSamples(tiny_gan, load_generator(tiny_gan), SampleSet.load(project.samples_dir)))
    yield session
    session.close()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens("gseg-label-8777")


@pytest.fixture
def stranger(session: Session, tokens: Tokens) -> TestClient:
    """Nobody has let it in."""
    return TestClient(make_app(session, tokens), base_url=ADDRESS, follow_redirects=False)


@pytest.fixture
def page(stranger: TestClient, tokens: Tokens) -> TestClient:
    """Has the cookie, and says where it comes from."""
    stranger.headers["Origin"] = ADDRESS
    stranger.cookies.set(tokens.cookie_name, tokens.cookie)
    return stranger

"""Samples: one seed is one latent and one image, and a folder of them is never mixed up with another."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.checkpoint import read_meta
from gseg_cli.gan.load import load_generator, save_gan
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2, StyleGAN2Config
from gseg_cli.gan.sample import SampleSet, write_samples, ws_for_seeds
from gseg_cli.gan.seeds import format_seeds, parse_seeds
from gseg_cli.project import Project
from gseg_cli.seeding import z_for_seeds
from gseg_cli.steps import Step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import sha256_file

CONFIG = StyleGAN2Config(img_resolution=16, channel_base=128, channel_max=16, z_dim=16, w_dim=16)
PSI = 0.7


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def make_gan(path, seed):
    """A generator nobody trained, with a mean latent that is not zero."""
    torch.manual_seed(seed)
    generator = StyleGAN2(CONFIG)
    generator.mapping_network.w_avg.copy_(torch.randn(CONFIG.w_dim))
    save_gan(path, generator, Discriminator(CONFIG), {})
    return path


@pytest.fixture(scope="module")
def gans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gans")
    return make_gan(folder / "a.safetensors", 0), make_gan(folder / "b.safetensors", 1)


@pytest.fixture
def gan(gans):
    return gans[0]


@pytest.fixture
def generator(gan):
    return load_generator(gan)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pixels(samples, seed):
    with Image.open(samples.image_path(seed)) as image:
        return np.array(image).astype(int)


def test_small_samples_are_enlarged_on_the_sheet_that_one_chooses_them_by(generator, gan, tmp_path):
    samples = write_samples(generator, gan, [0, 3], PSI, tmp_path / "out")
    with Image.open(samples.dir / "sheet.jpg") as sheet:
        assert sheet.width >= 2 * 128


def test_the_folder_holds_images_latents_and_description_and_nothing_else(generator, gan, tmp_path):
    steps = []
    samples = write_samples(generator, gan, [3, 0, 3], PSI, tmp_path / "out", batch=1, on_step=steps.append)
    assert names(samples.dir) == ["000000.png", "000003.png", "latents.safetensors", "samples.json", "sheet.jpg"]
    assert steps == [Step(1, 2), Step(2, 2)]
    facts = json.loads((samples.dir / "samples.json").read_text())
    assert (facts["kind"], facts["format"], facts["seeds"], facts["resolution"]) == ("samples", 1, [0, 3], 16)
    assert facts["gan"] == {"path": str(gan), "sha256": sha256_file(gan)} and facts["truncation_psi"] == PSI
    assert read_meta(samples.dir / "latents.safetensors")["kind"] == "latents"


def test_what_is_loaded_is_what_was_written(generator, gan, tmp_path):
    written = write_samples(generator, gan, [7, 1], PSI, tmp_path)
    loaded = SampleSet.load(tmp_path)
    assert np.array_equal(loaded.ws, written.ws) and loaded.ws.shape == (2, generator.num_ws, generator.w_dim)
    assert (loaded.seeds, loaded.truncation_psi, loaded.resolution) == ((1, 7), PSI, 16)
    assert loaded.gan_sha256 == written.gan_sha256 == sha256_file(gan)


def test_the_image_of_a_seed_does_not_depend_on_the_batch(generator, gan, tmp_path):
    alone = write_samples(generator, gan, [5], PSI, tmp_path / "alone")
    among = write_samples(generator, gan, range(8), PSI, tmp_path / "among", batch=8)
    assert np.array_equal(alone.ws_of([5]), among.ws_of([5]))
    assert np.abs(pixels(alone, 5) - pixels(among, 5)).max() <= 1
    assert np.abs(pixels(among, 4) - pixels(among, 5)).max() > 10


def test_whoever_may_read_the_images_may_read_the_latents(generator, gan, tmp_path):
    samples = write_samples(generator, gan, [0], PSI, tmp_path / "out")
    rights = {path.name: path.stat().st_mode & 0o777 for path in samples.dir.iterdir()}
    assert rights["latents.safetensors"] == rights["000000.png"]


def test_latents_are_nvidias_draw_pulled_towards_the_mean(generator):
    w_avg = generator.mapping_network.w_avg
    full, half, none = (ws_for_seeds(generator, [9], psi)[0, 0] for psi in (1.0, 0.5, 0.0))
    z = torch.from_numpy(np.random.RandomState(9).randn(1, 16).astype(np.float32))
    assert torch.equal(full, generator.mapping_network(z)[0])
    assert torch.allclose(half, (full + w_avg) / 2, atol=1e-6) and torch.allclose(none, w_avg)


def test_the_stored_latent_makes_the_image_again(generator, gan, tmp_path):
    samples = write_samples(generator, gan, [2], PSI, tmp_path)
    image = generator.synthesis(torch.from_numpy(SampleSet.load(tmp_path).ws))[0].permute(1, 2, 0)
    assert np.abs((image * 127.5 + 127.5).clamp(0, 255).numpy() - pixels(samples, 2)).max() <= 1


def test_calling_again_extends_and_keeps_what_is_there(generator, gan, tmp_path):
    first = write_samples(generator, gan, [4, 6], PSI, tmp_path)
    before = first.image_path(4).stat().st_mtime_ns
    steps = []
    both = write_samples(generator, gan, [5, 6], PSI, tmp_path, on_step=steps.append)
    assert both.seeds == SampleSet.load(tmp_path).seeds == (4, 5, 6)
    assert steps == [Step(1, 1)] and first.image_path(4).stat().st_mtime_ns == before
    assert np.array_equal(both.ws_of([4, 6]), first.ws)
    assert np.array_equal(both.ws, ws_for_seeds(generator, [4, 5, 6], PSI).numpy())


def test_after_an_interruption_the_same_call_makes_the_rest(generator, gan, tmp_path):
    def interrupt(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_samples(generator, gan, range(4), PSI, tmp_path, batch=1, on_step=interrupt)
    assert not (tmp_path / "000003.png").exists() and (tmp_path / ".gseg-incomplete").exists()
    write_samples(generator, gan, range(4), PSI, tmp_path)
    assert (tmp_path / "000003.png").exists() and not (tmp_path / ".gseg-incomplete").exists()


def test_samples_of_another_gan_or_truncation_are_refused_unless_overwritten(generator, gans, tmp_path):
    old = write_samples(generator, gans[0], [0, 1], PSI, tmp_path)
    before = pixels(old, 0)
    other = load_generator(gans[1])
    for attempt in ((other, gans[1], [0], PSI), (generator, gans[0], [0], 0.5)):
        with pytest.raises(GsegError, match=r"another GAN|truncation_psi 0\.7, not 0\.5") as caught:
            write_samples(*attempt, tmp_path)
        assert "--overwrite" in caught.value.hint and "--resume" not in caught.value.hint
    assert np.array_equal(pixels(old, 0), before)
    new = write_samples(other, gans[1], [0], PSI, tmp_path, overwrite=True)
    assert names(tmp_path) == ["000000.png", "latents.safetensors", "samples.json", "sheet.jpg"]
    assert not np.array_equal(pixels(new, 0), before)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_files_is_never_emptied(generator, gan, tmp_path, overwrite):
    (tmp_path / "000000.png").write_text("mine")
    with pytest.raises(GsegError, match=r"not empty|not written by gseg"):
        write_samples(generator, gan, [0], PSI, tmp_path, overwrite=overwrite)
    assert names(tmp_path) == ["000000.png"]


def test_overwriting_spares_what_people_put_among_the_samples(generator, gan, tmp_path):
    write_samples(generator, gan, [0], PSI, tmp_path)
    (tmp_path / "000000.json").write_text("labelme puts its file here")
    with pytest.raises(GsegError, match=r"000000\.json"):
        write_samples(generator, gan, [0], PSI, tmp_path, overwrite=True)
    write_samples(generator, gan, [1], PSI, tmp_path)
    assert (tmp_path / "000000.json").exists()


@pytest.mark.parametrize("psi", [-0.1, 2.5, float("nan")])
def test_a_truncation_that_makes_no_sense_is_a_usage_error(generator, gan, tmp_path, psi):
    with pytest.raises(UsageError, match="expected 0 to 2"):
        write_samples(generator, gan, [0], psi, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "annotations"}, "expected an object of kind 'samples', got 'annotations'"),
        ({"format": 2}, "expected format 1, got 2"),
        ({"seeds": [0, 99]}, "has no latent for seed 99"),
        ({"seeds": [0, 0]}, "expected different whole numbers from 0"),
        ({"seeds": "0"}, "seeds: expected a list, got '0'"),
        ({"gan": {}}, "expected its sha256"),
        ({"truncation_psi": True}, "truncation_psi: expected a number, got True"),
        ({"resolution": 0}, "resolution: expected 1 or more, got 0"),
    ],
)
def test_a_broken_description_is_named(generator, gan, tmp_path, change, message):
    write_samples(generator, gan, [0], PSI, tmp_path)
    path = tmp_path / "samples.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(GsegError) as caught:
        SampleSet.load(tmp_path)
    assert message in caught.value.message and str(tmp_path) in caught.value.message and caught.value.hint


def test_a_folder_without_samples_points_to_the_command(tmp_path):
    with pytest.raises(GsegError, match=r"no samples\.json") as caught:
        SampleSet.load(tmp_path)
    assert "gseg sample" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0-3", [0, 1, 2, 3]), ("5", [5]), ("2-3, 12,1-2", [1, 2, 3, 12]), ("4294967295", [2**32 - 1])],
)
def test_seeds_are_ranges_and_numbers(text, seeds):
    assert parse_seeds(text) == seeds
    assert parse_seeds(format_seeds(seeds)) == seeds


@pytest.mark.parametrize("text", ["", "a", "1,", "3-1", "-1", "1.5", "0-4294967296", "0-4294967295", "1-2-3", "\u00b2"])
def test_other_seeds_are_a_usage_error(text):
    with pytest.raises(UsageError) as caught:
        parse_seeds(text)
    assert "--seeds" in caught.value.message and "0-9,12" in caught.value.hint


def test_seeds_are_shown_as_they_are_written():
    assert format_seeds([0, 1, 2, 7, 9, 10]) == "0-2,7,9-10"


def test_the_command_writes_the_projects_samples(gan, tmp_path, capsys):
    Project.create(tmp_path, classes=ClassMap.of_names(["background", "face"]), gan=str(gan))
    assert main(["sample", "-C", str(tmp_path), "--seeds", "0-1,4", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "samples") in out and "3 samples of 16 px" in out and "0-1,4" in out
    assert main(["sample", "-C", str(tmp_path), "--seeds", "0", "--device", "cpu", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["seeds"] == [0, 1, 4] and data["gan"]["sha256"] == sha256_file(gan)


def test_the_command_needs_no_project_and_answers_a_slip_with_code_2(gan, tmp_path, capsys):
    args = ["sample", "--gan", str(gan), "-o", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*args, "--seeds", "9-0"]) == 2
    assert "expected the smaller number first, got '9-0'" in capsys.readouterr().err
    assert main([*args, "--truncation-psi", "nan"]) == 2
    assert not (tmp_path / "out").exists()
    assert main([*args, "--seeds", "0"]) == 0 and names(tmp_path / "out")[0] == "000000.png"


def test_a_dcgan_is_sampled_too(tmp_path):
    from gseg_cli.gan.load import make_networks
    from gseg_cli.gan.networks.config import make_config

    torch.manual_seed(0)
    networks = make_networks("dcgan", make_config("dcgan", {"img_resolution": 16, "z_dim": 8, "channel_max": 8}))
    save_gan(tmp_path / "gan.safetensors", *networks, {})
    samples = write_samples(
        load_generator(tmp_path / "gan.safetensors"), tmp_path / "gan.safetensors", [1], PSI, tmp_path / "out"
    )
    assert np.array_equal(samples.ws[0, 0], PSI * z_for_seeds([1], 8)[0].numpy())

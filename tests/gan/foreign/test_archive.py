"""A checkpoint is read in the archive that it was published in, and nothing is written to the disk for it."""

import gzip
import io
import tarfile
import zipfile

import pytest
import torch

from gseg_cli.app import main
from gseg_cli.gan.load import read_gan
from gseg_runtime.errors import CheckpointError
from tests.gan.foreign.files import whole_files, whole_tensors


def as_zip(data: bytes, name: str, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("models/", b"")
        archive.writestr("models/README.txt", b"a face GAN")
        archive.writestr(f"models/{name}", data)
        archive.writestr(f"__MACOSX/models/._{name}", b"resource fork")
    return buffer.getvalue()


def as_tar(data: bytes, name: str, kind: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for member, content in (("models/README.txt", b"a face GAN"), (f"models/{name}", data)):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVES = {
    "zip": as_zip,
    "zip, stored": lambda data, name: as_zip(data, name, zipfile.ZIP_STORED),
    "tar": as_tar,
    "tar of GNU": lambda data, name: as_tar(data, name, tarfile.GNU_FORMAT),
    "tar of POSIX": lambda data, name: as_tar(data, name, tarfile.PAX_FORMAT),
    "gz": lambda data, name: gzip.compress(data),
    "tar.gz": lambda data, name: gzip.compress(as_tar(data, name)),
    "gz in a zip": lambda data, name: as_zip(gzip.compress(data), f"{name}.gz"),
}
NAMES = {"nvidia-4": "gan.pkl", "zip": "gan.pt", "older": "gan.pth", "safetensors": "gan.safetensors"}


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["gan.pt", "é/gan.pt", "00012-cars-gpus8-batch32/" * 8 + "gan.pt"])
@pytest.mark.parametrize("top", ["models/", "./", "./models/", "../models/"])
def test_a_tar_of_long_names_or_made_of_the_folder_it_lay_in_is_opened(top, name, kind, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for member, content in ((f"{top}._{name}", b"resource fork"), (top + name, whole_files()["zip"])):
            entry = tarfile.TarInfo(member)
            entry.size, entry.mtime = len(content), 0.5  # a fraction of a second asks for an extended header
            archive.addfile(entry, io.BytesIO(content))
    (tmp_path / "gan.tar").write_bytes(buffer.getvalue())
    assert read_gan(tmp_path / "gan.tar").has_discriminator


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("archive", ARCHIVES)
def test_the_one_checkpoint_in_an_archive_is_opened_in_place(archive, kind, tmp_path):
    path = tmp_path / "download"
    path.write_bytes(ARCHIVES[archive](whole_files()[kind], NAMES[kind]))
    gan = read_gan(path)
    const = whole_tensors()[0]["synthesis.b4.const"]
    assert torch.equal(gan.tensors["G_ema.synthesis.b4.const"], const)
    assert [entry.name for entry in tmp_path.iterdir()] == ["download"]


def test_what_grows_more_than_weights_can_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gseg_cli.gan.foreign.archive.FREE_BYTES", 0)
    noise = torch.randint(0, 256, (100_000,), dtype=torch.uint8).numpy().tobytes()
    path = tmp_path / "gan.zip"
    path.write_bytes(gzip.compress(noise + bytes(500_000)))
    with pytest.raises(CheckpointError, match="unpacks to more than 0 MiB, which no checkpoint of its size does"):
        read_gan(path)
    path.write_bytes(gzip.compress(noise + bytes(200_000)))
    with pytest.raises(CheckpointError, match="neither a pickle"):
        read_gan(path)


def test_a_project_begins_with_an_archive(tmp_path, capsys):
    path = tmp_path / "gan.zip"
    path.write_bytes(as_zip(whole_files()["nvidia-4"], "gan.pkl"))
    assert main(["init", str(tmp_path / "project"), "--gan", str(path), "--classes", "background,face"]) == 0
    assert main(["-C", str(tmp_path / "project"), "sample", "--seeds", "0"]) == 0
    assert main(["info", str(path)]) == 0 and "NVIDIA pickle" in capsys.readouterr().out

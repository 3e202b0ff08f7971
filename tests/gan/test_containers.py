"""Photos in an LMDB and in Parquet: the same as in files, and whatever is wrong with the container is an error."""

import random

import pytest
import torch

from gseg_cli.gan.training.data import count_photos, load_images
from gseg_cli.gan.training.sources import open_photos, photos_key
from gseg_runtime.errors import BackendUnavailable, GsegError
from tests.tiny import write_photos


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos")


def encoded(folder):
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def write_lmdb(folder, values, *, subdir=True):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(folder), map_size=2**24, subdir=subdir) as env, env.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key, value)
    return folder


def as_rosinality(images, size=24):
    keys = {f"{size}-{i:05d}".encode(): image for i, image in enumerate(images)}
    return {**keys, b"length": str(len(images)).encode()}


def write_parquet(path, images, name="image", **options):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": image, "path": None} for image in images]
    columns = {"label": pa.array([0] * len(images)), name: pa.array(rows, kind)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_an_lmdb_gives_the_same_photos_in_the_same_order(photos, tmp_path):
    expected, _ = load_images(photos, 8)
    folder = write_lmdb(tmp_path / "db", as_rosinality(encoded(photos)))
    alone = write_lmdb(tmp_path / "db.lmdb", as_rosinality(encoded(photos)), subdir=False)
    for source in (folder, folder / "data.mdb", alone):
        images, found = load_images(source, 8)
        assert torch.equal(images, expected) and not found.unreadable


def test_of_several_sizes_in_an_lmdb_the_largest_is_taken(photos, tmp_path):
    small = write_photos(tmp_path / "small", size=12)
    values = {**as_rosinality(encoded(small), 12), **as_rosinality(encoded(photos), 24)}
    images, _ = load_images(write_lmdb(tmp_path / "db", values), 8)
    assert torch.equal(images, load_images(photos, 8)[0])


def test_an_lmdb_of_other_keys_is_named(tmp_path):
    folder = write_lmdb(tmp_path / "db", {b"cat": b"1", b"dog": b"2"})
    with pytest.raises(GsegError, match=r"without photos under keys like 256-00000; its keys are 'cat', 'dog'"):
        count_photos(folder)
    with pytest.raises(GsegError, match="its keys are none"):
        count_photos(write_lmdb(tmp_path / "empty", {}))


def test_an_lmdb_that_was_cut_short_is_an_error_and_no_crash(photos, tmp_path):
    file = write_lmdb(tmp_path / "db", as_rosinality([data + bytes(6000) for data in encoded(photos)])) / "data.mdb"
    data = file.read_bytes()
    for share in range(1, 10):
        file.write_bytes(data[: len(data) * share // 10])
        with pytest.raises(GsegError, match=r"data\.mdb: a damaged LMDB: it ends at") as caught:
            count_photos(tmp_path / "db")
        assert "again" in caught.value.hint


def test_a_damaged_lmdb_is_an_error_or_has_unreadable_photos(photos, tmp_path):
    file = write_lmdb(tmp_path / "db", as_rosinality(encoded(photos))) / "data.mdb"
    data, draw, errors = file.read_bytes(), random.Random(0), 0
    for _ in range(200):
        damaged = bytearray(data)
        for _ in range(20):
            damaged[draw.randrange(len(data))] = draw.randrange(256)
        file.write_bytes(damaged)
        try:
            load_images(tmp_path / "db", 8)
        except GsegError:
            errors += 1
    assert errors > 20


def test_what_is_no_lmdb_is_not_read_as_one(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"x" * 10_000)
    with pytest.raises(GsegError, match=r"data\.mdb: a damaged LMDB"):
        count_photos(tmp_path)
    (tmp_path / "data.mdb").write_bytes(bytes(40) + (4096).to_bytes(4, "little") + bytes(10_000))
    with pytest.raises(GsegError, match=r"does not begin like one of LMDB 0\.9"):
        count_photos(tmp_path)


def test_an_lmdb_whose_pages_lead_in_a_circle_is_an_error(photos, tmp_path):
    file = write_lmdb(tmp_path / "db", as_rosinality(encoded(photos) * 20)) / "data.mdb"
    data = bytearray(file.read_bytes())
    pages = range(2 * 4096, len(data), 4096)
    branch = next(at for at in pages if data[at + 10] & 1)
    first = int.from_bytes(data[branch + 16 : branch + 18], "little")
    data[branch + first : branch + first + 6] = (branch // 4096).to_bytes(6, "little")
    file.write_bytes(data)
    with pytest.raises(GsegError, match=rf"page {branch // 4096} is used twice"):
        count_photos(tmp_path / "db")


@pytest.mark.parametrize("options", [{}, {"row_group_size": 3}, {"compression": "zstd", "use_dictionary": False}])
def test_parquet_gives_the_same_photos_in_the_same_order(photos, tmp_path, options):
    expected, _ = load_images(photos, 8)
    images = encoded(photos)
    one = write_parquet(tmp_path / "one.parquet", images, **options)
    write_parquet(tmp_path / "hub" / "data" / "train-00000-of-00002.parquet", images[:12], **options)
    write_parquet(tmp_path / "hub" / "data" / "train-00001-of-00002.parquet", images[12:], **options)
    for source in (one, tmp_path / "hub", tmp_path / "hub" / "data"):
        images, found = load_images(source, 8)
        assert torch.equal(images, expected) and not found.unreadable


def test_the_column_of_images_is_found_by_what_it_is(photos, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a"] * 20, "jpg": encoded(photos)}), tmp_path / "plain.parquet")
    assert len(load_images(tmp_path / "plain.parquet", 8)[0]) == 20
    named = write_parquet(tmp_path / "named.parquet", encoded(photos), name="picture")
    assert len(load_images(named, 8)[0]) == 20
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "text.parquet")
    with pytest.raises(GsegError, match=r"text\.parquet: no column of images; its columns are text, label"):
        count_photos(tmp_path / "text.parquet")


def test_photos_that_a_parquet_file_only_points_to_are_unreadable(photos, tmp_path):
    images = [*encoded(photos), None, b"no image"]
    _, found = load_images(write_parquet(tmp_path / "a.parquet", images), 8)
    assert list(found.unreadable) == ["a.parquet/0000020", "a.parquet/0000021"]


def test_a_damaged_parquet_file_is_an_error(photos, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", encoded(photos))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GsegError, match=r"a\.parquet: not a Parquet file that can be read"):
        count_photos(path)


def test_images_that_swell_are_unreadable_and_not_swallowed(photos, tmp_path, monkeypatch):
    """A dictionary lets a few bytes stand for many images."""
    monkeypatch.setattr("gseg_cli.gan.training.parquet_file.MAX_GROUP_BYTES", 2_000_000)
    path = write_parquet(tmp_path / "a.parquet", [encoded(photos)[0] + bytes(100_000)] * 100)
    assert path.stat().st_size < 20_000
    images, found = load_images(path, 8)
    assert len(images) == 32 and list(found.unreadable) == [f"a.parquet/{i:07d}" for i in range(32, 100)]
    assert "in one row group; write the file anew" in found.unreadable["a.parquet/0000032"]


def test_photos_in_a_damaged_part_of_a_parquet_file_are_unreadable(photos, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", encoded(photos) * 2, row_group_size=20, compression="gzip")
    data = bytearray(path.read_bytes())
    at = len(data) * 3 // 4
    data[at : at + 200] = bytes(200)
    path.write_bytes(data)
    images, found = load_images(path, 8)
    assert len(images) >= 20 and 0 < len(found.unreadable) <= 20
    assert min(found.unreadable) >= "a.parquet/0000020"


def test_more_rows_than_bytes_are_not_believed(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", [None] * 100_000)
    with pytest.raises(GsegError, match="claims 100000 rows, more than it has bytes"):
        count_photos(path)


def test_without_pyarrow_a_parquet_file_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(BackendUnavailable, match="Parquet needs pyarrow") as caught:
        count_photos(tmp_path)
    assert "pip install" in caught.value.hint


def test_other_photos_in_a_container_are_noticed(photos, tmp_path):
    keys = set()
    images = encoded(photos)
    for i, these in enumerate((images, [images[0] + b"x", *images[1:]])):
        for source in (
            write_lmdb(tmp_path / f"db{i}", as_rosinality(these)),
            write_parquet(tmp_path / str(i) / "a.parquet", these),
        ):
            with open_photos(source) as found:
                keys.add(photos_key(found))
    assert len(keys) == 4

"""No file can make the reader run code, fill the memory or end in anything but an error of one line."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gseg_cli.app import main
from gseg_cli.gan import foreign
from gseg_cli.gan.foreign.allowance import Allowance
from gseg_cli.gan.foreign.checkpoint import ForeignGan, read_bytes
from gseg_cli.gan.foreign.machine import Machine
from gseg_cli.gan.load import read_gan
from gseg_runtime.errors import CheckpointError
from tests.gan.foreign.files import small_files, whole_files, whole_pickle
from tests.gan.foreign.hostile import hostile_files, program
from tests.test_imports import imported_names

READER = Path(foreign.__file__).parent
HARMLESS = {"collections", "dataclasses", "itertools", "json", "math", "mmap", "pathlib", "re", "struct", "typing"}
HARMLESS |= {"numpy", "torch", "zlib"}
FILES = hostile_files()
SMALL = small_files()
WHOLE = whole_files()

# Reads all files of a folder; prints what the process did besides opening them for reading. The memory it may take on
# top of what the imports took is limited.
WATCHED = """
import os, re, resource, sys
from pathlib import Path
from gseg_cli.gan.load import read_gan
from gseg_runtime.errors import CheckpointError

folder = Path(sys.argv[1])
read_gan(folder / "good")
did = []
def watch(event, args):
    is_reading = event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if not is_reading and event not in ("mmap.__new__", "os.listdir", "os.scandir"):
        did.append((event, str(args)[:200]))
in_use = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (in_use + 1024**3, in_use + 1024**3))
files = sorted(folder.glob("hostile*"))
sys.addaudithook(watch)
for path in files:
    try:
        read_gan(path)
        did.append(("read", path.name))
    except CheckpointError as error:
        assert error.hint
read_gan(folder / "good")
print(did)
"""


def refusal(data: bytes, path: Path) -> CheckpointError:
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_gan(path)
    return caught.value


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_ends_in_one_line_with_a_hint(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = refusal(FILES[name], tmp_path / "gan.pkl")
    assert error.message.startswith(f"{tmp_path / 'gan.pkl'}: ") and error.hint
    assert error.message.isascii() and error.message.isprintable() and len(error.message) < 500
    assert [path.name for path in tmp_path.iterdir()] == ["gan.pkl"]
    assert main(["convert", str(tmp_path / "gan.pkl"), str(tmp_path / "gan.safetensors")]) == 1
    assert capsys.readouterr().err.splitlines() == [f"error: {error.message}", f"hint: {error.hint}"]
    assert [path.name for path in tmp_path.iterdir()] == ["gan.pkl"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_reading_hostile_files_does_nothing_but_read(tmp_path):
    for number, data in enumerate(FILES.values()):
        (tmp_path / f"hostile{number}").write_bytes(data)
    (tmp_path / "good").write_bytes(whole_pickle())  # it brings source code, too
    before = sorted(tmp_path.iterdir())
    command = [sys.executable, "-c", WATCHED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "[]\n")
    assert sorted(tmp_path.iterdir()) == before


def test_the_reader_has_nothing_to_run_code_with():
    """Neither loaders that do, nor modules or functions that could."""
    names = {name for path in READER.glob("*.py") for name in imported_names(path)}
    assert {name.partition(".")[0] for name in names if not name.startswith("gseg_")} <= HARMLESS
    nodes = [node for path in READER.glob("*.py") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    functions = {function.id for function in called if isinstance(function, ast.Name)}
    methods = {function.attr for function in called if isinstance(function, ast.Attribute)}
    assert not functions & {"eval", "exec", "compile", "__import__", "open", "setattr"}
    assert not methods & {"load", "fromfile", "system", "write_bytes"}


def test_a_refused_name_is_said(tmp_path):
    assert "os.system" not in refusal(FILES["calls: system-4"], tmp_path / "x").message  # os is posix to a pickle
    assert "posix.system" in refusal(FILES["calls: system-4"], tmp_path / "x").message
    assert "os\\u202e.metsys" in refusal(FILES["instructions: right to left"], tmp_path / "x").message


def run(*parts: bytes) -> Any:
    data = memoryview(program(*parts))
    return Machine(data, {}, lambda _: None, Allowance(nested_bytes=0, tensor_bytes=0)).run()


def test_no_file_chooses_the_numbers_in_a_dictionary():
    """CPython hashes a number to itself: 174,000 that were chosen to collide, 0.9 MB, took a memo 18 s of computing."""
    assert run(b"}K\7Ns") == {"7": None} and run(b"\x8f(K\7\x90") == {"7"}
    for start in (0, 1):  # Python 2 counts from 1
        kept = [b"Nr" + number.to_bytes(4, "little") + b"a" for number in range(start, 9)]
        assert run(b"]", *kept) == [None] * len(kept)
    with pytest.raises(CheckpointError, match="keeps value 65536, expected up to 1"):
        run(b"Nr\0\0\1\0")


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_cut_short_is_an_error_wherever_it_ends(kind):
    whole = SMALL[kind]
    for num_bytes in [*range(1, len(whole), 1024), *range(max(1, len(whole) - 64), len(whole))]:
        with pytest.raises(CheckpointError):
            read_bytes(memoryview(whole[:num_bytes]))


@pytest.mark.parametrize("kind", SMALL)
def test_a_damaged_file_is_data_or_an_error(kind):
    """Some bytes changed at random; the change may well lie in the numbers of a tensor, where nobody can tell."""
    random = np.random.RandomState(0)
    num_errors = 0
    for _ in range(200):
        data = bytearray(SMALL[kind])
        for _ in range(random.randint(1, 9)):
            data[random.randint(len(data))] = random.randint(256)
        try:
            assert isinstance(read_bytes(memoryview(data)), ForeignGan)
        except CheckpointError as error:
            assert error.hint and error.message.isprintable()
            num_errors += 1
    assert num_errors > 20


def convert(data: bytes, folder: Path, capsys) -> int:
    """The exit code; what was printed is a result, or one line and a hint, and a file is only there with a result."""
    (folder / "gan.pkl").write_bytes(data)
    code = main(["convert", str(folder / "gan.pkl"), str(folder / "gan.safetensors"), "--overwrite"])
    out, err = capsys.readouterr()
    if code == 0:
        assert out and not err and (folder / "gan.safetensors").is_file()
        (folder / "gan.safetensors").unlink()
    else:
        assert code == 1 and not out
        error, hint = err.splitlines()
        assert error.startswith(f"error: {folder / 'gan.pkl'}: ") and len(error) < 700 and hint.startswith("hint: ")
    assert [path.name for path in folder.iterdir()] == ["gan.pkl"]
    return code


@pytest.mark.parametrize("kind", WHOLE)
def test_a_generator_cut_short_at_every_kilobyte_is_one_line_on_the_command_line(kind, tmp_path, capsys):
    whole = WHOLE[kind]
    assert convert(whole, tmp_path, capsys) == 0
    for num_bytes in [*range(1, len(whole), 1024), len(whole) - 1]:
        assert convert(whole[:num_bytes], tmp_path, capsys) == 1


@pytest.mark.parametrize("kind", WHOLE)
def test_a_damaged_generator_is_opened_or_one_line_on_the_command_line(kind, tmp_path, capsys):
    random = np.random.RandomState(1)
    codes = []
    for _ in range(40):
        data = bytearray(WHOLE[kind])
        for _ in range(random.randint(1, 9)):
            data[random.randint(len(data))] = random.randint(256)
        codes.append(convert(data, tmp_path, capsys))
    assert codes.count(1) > 4

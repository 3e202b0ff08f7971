"""Coverage-guided fuzzing of the reader of foreign checkpoints: whatever the bytes, a GAN or a CheckpointError.

    pip install atheris
    python -m tests.fuzz.read_foreign CORPUS -max_total_time=3600 -max_len=45000 -rss_limit_mb=2048 -timeout=20

CORPUS is a folder, which is filled with the small files of the tests first. The options are libFuzzer's. A find is
written to crash-*; make it a test in tests/gan/foreign/test_hostile.py before it is mended.
"""

import sys
from pathlib import Path

import atheris
import numpy  # noqa: F401  imported before the instrumented modules, so that only the reader is traced
import torch  # noqa: F401

from gseg_runtime.errors import CheckpointError

with atheris.instrument_imports(include=["gseg_cli.gan.foreign"]):
    from gseg_cli.gan.foreign.adopt import adopt
    from gseg_cli.gan.foreign.checkpoint import read_bytes


def check(data: bytes) -> None:
    try:
        gan = read_bytes(memoryview(data))
    except CheckpointError as error:
        check_error(error)
        assert error.hint
        return
    tensors = [*gan.generator.values(), *gan.discriminator.values()]
    assert gan.generator and sum(tensor.nbytes for tensor in tensors) <= len(data)
    try:
        adopt(gan)
    except CheckpointError as error:  # read_gan gives it a hint
        check_error(error)


def check_error(error: CheckpointError) -> None:
    assert error.message.isprintable() and len(error.message) < 1000, repr(error.message)


def main() -> None:
    from gseg_cli.gan.foreign.known import known_names
    from tests.gan.foreign.files import small_files, whole_files
    from tests.gan.foreign.hostile import hostile_files
    from tests.gan.foreign.tensorflow_files import tensorflow_pickle

    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    small = {name: data for name, data in hostile_files().items() if len(data) < 4096}
    files = [*small_files().values(), *whole_files().values(), tensorflow_pickle(), *small.values()]
    for number, data in enumerate(files):
        (corpus / f"seed{number}").write_bytes(data)
    # Names are hard to guess byte by byte: as GLOBAL writes them, and as STACK_GLOBAL finds them on the stack.
    words = [f"c{module}\\x0a{name}\\x0a" for module, name in known_names(lambda _: None)]
    words += [f"\\x8c\\x{len(name):02x}{name}" for names in known_names(lambda _: None) for name in names]
    dictionary = corpus.with_suffix(".dict")
    dictionary.write_text("".join(f'"{word}"\n' for word in words))
    atheris.Setup([*sys.argv, f"-dict={dictionary}"], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

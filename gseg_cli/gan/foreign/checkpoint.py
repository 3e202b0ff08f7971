"""What a checkpoint of NVIDIA's or rosinality's StyleGAN2 holds, as data.

Whatever the file is, it is read into nested dictionaries, every tensor in them gets the path of names that leads to it
("g_ema.conv1.conv.weight"), and the generator is found by the name of its first layer.
"""

import mmap
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor

from gseg_cli.gan.foreign.allowance import Allowance
from gseg_cli.gan.foreign.archive import limit_of, unpack
from gseg_cli.gan.foreign.contents import Contents, list_contents, plain
from gseg_cli.gan.foreign.errors import shown
from gseg_cli.gan.foreign.known import NumpyArray
from gseg_cli.gan.foreign.namings import NAMINGS, is_transposed
from gseg_cli.gan.foreign.nvidia import repository, settings
from gseg_cli.gan.foreign.recognise import check_folder, check_start, check_tensors, unknown_start, unknown_tensors
from gseg_cli.gan.foreign.safetensors_file import is_safetensors, read_safetensors
from gseg_cli.gan.foreign.stored import StoredTensor, to_tensor
from gseg_cli.gan.foreign.tensorflow import find_networks, read_networks
from gseg_cli.gan.foreign.torch_file import read_pickle, read_zip
from gseg_runtime.errors import CheckpointError

MAX_LEFT_OUT = 100
MAX_ARCHIVES = 3  # of one within another, and the checkpoint
MAX_FILE_BYTES = 2**32 - 1  # the largest known, a whole training state at 1024 px, takes 0.8 GB


@dataclass(frozen=True)
class ForeignGan:
    """What a foreign checkpoint holds, as data."""

    naming: str  # a key of NAMINGS
    generator: dict[str, Tensor]  # state dict of G_ema (g_ema), prefix stripped; dtype as stored, on the CPU
    discriminator: dict[str, Tensor]  # D (d), or {}
    # NVIDIA, its TensorFlow code too: "generator" and "discriminator", each the _init_kwargs of the network (plain,
    # nested dicts), completed at the top level from its layers' attributes with conv_clamp, architecture, num_fp16_res
    # and use_noise, because the defaults differ between NVIDIA's two repositories. rosinality: the fields of args. {}
    # when there are none.
    hints: dict[str, Any]
    latent_avg: Tensor | None  # rosinality's truncation centre, where the file has one
    origin: str  # for people: "NVIDIA pickle (stylegan2-ada-pytorch)", "rosinality .pt", "state dict (NVIDIA names)"
    left_out: tuple[str, ...] = ()  # what else holds tensors: "g", "d_optim", "state_dict.encoder"
    unread: tuple[str, ...] = ()  # names that the file asks for and that are not read, of classes above all


def read_foreign(path: Path) -> ForeignGan:
    """The generator, and the discriminator where present, of any checkpoint that gseg did not write.

    What a file is, is told by its content, never by its name. CheckpointError, with a hint, for everything else. No
    code of the file is run, whatever it holds; docs/checkpoints.md says how.
    """
    data = _open(path)
    try:
        return read_bytes(data)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error


def _open(path: Path) -> memoryview:
    """The bytes of a file. They stay on the disk until they are looked at."""
    try:
        if path.is_dir():
            check_folder(path)
            raise CheckpointError(f"{path}: expected a checkpoint, got a folder", "name the file in it")
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path}: expected a checkpoint, got no regular file", "save it to a file first")
        num_bytes = path.stat().st_size
        if not 0 < num_bytes <= MAX_FILE_BYTES:
            raise CheckpointError(
                f"{path}: expected a checkpoint of up to {MAX_FILE_BYTES // 2**20} MiB, got {num_bytes} bytes",
                "copy it again" if not num_bytes else "save its generator (g_ema) alone",
            )
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:  # ValueError: the file became empty, or its name holds a null character
        raise CheckpointError(f"{path}: {getattr(error, 'strerror', None) or error}", "check the path") from error


def read_bytes(data: memoryview) -> ForeignGan:
    """The same of the content of a file."""
    limit = min(limit_of(len(data)), MAX_FILE_BYTES)
    for _ in range(MAX_ARCHIVES):
        if is_safetensors(data) or (inside := unpack(data, limit)) is None:
            return _read(data)
        data, limit = inside, limit - len(inside)
    raise CheckpointError("an archive within an archive within an archive", "unpack it and use the checkpoint inside")


def _read(data: memoryview) -> ForeignGan:
    allowance = Allowance(nested_bytes=len(data), tensor_bytes=len(data))
    if is_safetensors(data):  # first, because its header's length may begin as any other kind of file
        return _find_gan(read_safetensors(data), "safetensors", allowance)
    head = bytes(data[:4096])
    check_start(head)
    if head.startswith(b"PK"):
        value = read_zip(data, allowance)
    elif head.startswith(b"\x80"):
        value = read_pickle(data, allowance)
    else:
        raise unknown_start()
    return _find_gan(value, "state dict", allowance)


def _find_gan(value: Any, kind: str, allowance: Allowance) -> ForeignGan:
    if networks := find_networks(value):
        gan = read_networks(networks, allowance)
        unread = tuple(allowance.unread)
        _check_finite(gan.generator)
        return ForeignGan("tensorflow", gan.generator, gan.discriminator, gan.hints, None, gan.origin, unread=unread)
    contents = list_contents(value)
    naming, prefix = _find_generator(contents.tensors, list(allowance.unread))
    d_prefix = _prefix(contents.tensors, NAMINGS[naming].discriminator)
    latent_avg = min((name for name in contents.tensors if name.split(".")[-1] == "latent_avg"), key=len, default=None)

    def stored(prefix: str, beside: str | None) -> dict[str, StoredTensor]:
        """A network without a prefix does not take the one beside it."""
        names = [name for name in contents.tensors if name.startswith(prefix) and name != latent_avg]
        names = [name for name in names if prefix or not beside or not name.startswith(beside)]
        return {name.removeprefix(prefix): contents.tensors[name] for name in names}

    def state_dict(tensors: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
        return {name: to_tensor(tensor, allowance) for name, tensor in tensors.items()}

    generator = stored(prefix, d_prefix)
    if naming == "rosinality" and _is_paddle(generator):
        naming = "paddle"
    weights = state_dict(generator)
    _check_finite(weights)
    return ForeignGan(
        naming=naming,
        generator=weights,
        discriminator={} if d_prefix is None else state_dict(stored(d_prefix, prefix)),
        hints=_hints(value, contents, prefix, d_prefix),
        latent_avg=None if latent_avg is None else to_tensor(contents.tensors[latent_avg], allowance),
        origin=_origin(contents, naming, prefix, kind),
        left_out=tuple(_left_out(contents.tensors, prefix, d_prefix)),
        unread=tuple(allowance.unread),
    )


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    """CheckpointError when a network draws nothing but black because its training had come apart."""
    broken = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if broken:
        what = f"nan or infinity among the numbers of {shown(broken[0])}, in {len(broken)} of {len(tensors)} tensors"
        raise CheckpointError(f"{what}: its pictures would be black", "give a checkpoint from before training diverged")


def _left_out(names: Iterable[str], prefix: str, d_prefix: str | None) -> Iterable[str]:
    """What else holds tensors, by the names that stand beside the generator's."""
    used = (prefix,) if d_prefix is None else (prefix, d_prefix)
    num_names = max(1, prefix.count("."))
    rest = (name for name in names if not name.startswith(used) and name.split(".")[-1] != "latent_avg")
    return islice(dict.fromkeys(".".join(name.split(".")[:num_names]) for name in rest), MAX_LEFT_OUT)


def _find_generator(names: Iterable[str], unread: Sequence[str]) -> tuple[str, str]:
    """Naming and prefix of the generator."""
    check_tensors(names)
    for key, naming in NAMINGS.items():
        if (prefix := _prefix(names, naming.generator)) is not None:
            return key, prefix
    raise unknown_tensors(names, unread)


def _is_paddle(tensors: Mapping[str, StoredTensor]) -> bool:
    is_numpy = all(isinstance(tensor, NumpyArray) for tensor in tensors.values())
    return is_transposed({name: tensor.size for name, tensor in tensors.items()}, is_numpy)


def _prefix(names: Iterable[str], anchor: str) -> str | None:
    """What stands before `anchor`; of several networks the moving average, else the first."""
    if not anchor:
        return None
    found = [name.removesuffix(anchor) for name in names if name == anchor or name.endswith(f".{anchor}")]
    return min(found, key=lambda prefix: not _is_average(prefix), default=None)


def _is_average(prefix: str) -> bool:
    """By its name: G_ema, generator_smooth (genforce), g_running, Gs (as NVIDIA's TensorFlow code calls it)."""
    return re.search(r"(?i)ema|smooth|running|avg|average|shadow|(^|\.)gs\.", prefix) is not None


def _hints(value: Any, contents: Contents, prefix: str, d_prefix: str | None) -> dict[str, Any]:
    if prefix in contents.networks:
        hints = {"generator": settings(contents.networks, prefix)}
        if d_prefix in contents.networks:
            hints["discriminator"] = settings(contents.networks, d_prefix)
        return hints
    args = value.get("args") if isinstance(value, dict) else None
    return plain(args) if isinstance(args, dict) else {}


def _origin(contents: Contents, naming: str, prefix: str, kind: str) -> str:
    if prefix in contents.networks:
        what = f"NVIDIA pickle ({repository(contents.networks, prefix)})"
    elif naming == "rosinality" and prefix == "g_ema." and kind == "state dict":
        what = "rosinality .pt"
    else:
        what = f"{kind} ({NAMINGS[naming].program} names)"
    if naming == "mmgeneration":
        what += "; where its code trained, the colours are blue, green, red: gseg convert --bgr"
    if prefix.lower() in ("g.", "state_dict.g."):
        return f"{what}, G itself, as there is no moving average"
    others = [name for name in contents.tensors if name.endswith(f".{NAMINGS[naming].generator}")]
    if len(others) > 1 and not _is_average(prefix):
        what += f", the first of {len(others)} generators, none of which is called a moving average"
    return what

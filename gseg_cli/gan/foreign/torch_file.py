"""What torch.save and NVIDIA's pickle.dump write, read without either library's loader.

- A zip (torch.save since 1.6) holds `NAME/data.pkl`, and the numbers of each storage as `NAME/data/KEY`.
- The format before is five pickles in a row (a magic number, the version, the machine, the object, the storages' keys)
  and then the storages, each behind its length.
- NVIDIA's files are one plain pickle, with a file of the older format inside for every tensor.

Source of both formats: torch/serialization.py.
"""

from collections.abc import Mapping
from typing import Any

from gseg_cli.gan.foreign.allowance import Allowance
from gseg_cli.gan.foreign.errors import damaged
from gseg_cli.gan.foreign.known import Known, KnownStorage, Unknown, Unread, known_names
from gseg_cli.gan.foreign.machine import Machine
from gseg_cli.gan.foreign.recognise import unknown_zip, unpacked
from gseg_cli.gan.foreign.stored import Storage
from gseg_cli.gan.foreign.zip_file import read_members

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
Names = Mapping[tuple[str, str], Known]


class Storages(dict[str, Storage]):
    """The storages a pickle speaks of, by key; their numbers come later."""

    def __call__(self, persistent_id: Any) -> Storage | Unread | Unknown:
        match persistent_id:
            case ("storage", KnownStorage(dtype=dtype), str() as key, str(), int() as numel, *view) if numel >= 0:
                storage = self.setdefault(key, Storage(dtype, numel))
                if (storage.dtype, storage.numel) == (dtype, numel) and view in ([], [None]):
                    return storage
            case ("storage", Unknown(name=name), *_):  # of numbers of another type
                return Unread(name)
            case ("module", Unknown() as module, *_):  # the source of its class follows, which is not looked at
                return module
        raise damaged("its pickle asks for something else than the storage of a tensor")


def read_zip(data: memoryview, allowance: Allowance) -> Any:
    """The object in a zip of torch.save. CheckpointError when it is none."""
    found = read_members(data)
    pickles = [name for name in found if name.endswith("/data.pkl")]
    if len(pickles) != 1 or any(name.endswith("/constants.pkl") for name in found):
        raise unknown_zip(list(found))  # before anything is unpacked: TorchScript packs its code
    members = {name: member.stored() for name, member in found.items()}
    folder = pickles[0].removesuffix("data.pkl")
    _check_order(bytes(members.get(f"{folder}byteorder", b"little")[:8]) == b"little")
    storages = Storages()
    value = Machine(members[pickles[0]], known_names(), storages, allowance).run()
    for key, storage in storages.items():
        storage.bind(members.get(f"{folder}data/{key}", memoryview(b"")))
    return value


def read_pickle(data: memoryview, allowance: Allowance) -> Any:
    """The object in a plain pickle, or in a file of torch.save's older format."""

    def load_nested(args: tuple[Any, ...]) -> Any:
        match args:
            case (bytes() | memoryview() as nested,):
                allowance.nested_bytes -= len(nested)  # or the same bytes could be read a million times
                if allowance.nested_bytes < 0:
                    raise damaged("the files within its pickle are larger than the file itself")
                return _read_pickle(memoryview(nested), known_names(), allowance)  # which may not hold a third
        raise damaged("it loads a tensor from something else than bytes")

    return _read_pickle(data, known_names(load_nested), allowance)


def _read_pickle(data: memoryview, names: Names, allowance: Allowance) -> Any:
    storages = Storages()
    machine = Machine(data, names, storages, allowance)
    value = machine.run()
    if value == MAGIC:
        version, system, value, keys = (Machine.run(machine) for _ in range(4))
        _check_order(isinstance(system, dict) and system.get("little_endian") is True)
        if version != VERSION or not isinstance(keys, list):
            raise damaged(f"expected version {VERSION} of torch.save's older format")
        _read_storages(machine, storages, keys)
    elif storages:
        raise unpacked()
    return value


def _read_storages(machine: Machine, storages: Storages, keys: list[Any]) -> None:
    if not all(isinstance(key, str) for key in keys) or len(keys) != len(storages) or set(keys) != set(storages):
        raise damaged("its list of storages is not that of its tensors")
    for key in keys:
        numel, storage = machine.number(8), storages[key]
        if numel != storage.numel:
            raise damaged(f"it declares a tensor of {storage.numel} numbers, and then one of {numel}")
        storage.bind(machine.take(storage.num_bytes))


def _check_order(is_little: bool) -> None:
    if not is_little:
        raise damaged("its numbers are big-endian, expected little-endian")

"""Files that were made to do harm: each would run code, or fill memory, in a loader that trusts it.

A sentinel file is what their code would leave behind.
"""

import builtins
import functools
import gzip
import io
import operator
import os
import pickle
import struct
import subprocess
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.gan.foreign.files import (
    Persistent,
    network,
    nvidia_modules,
    nvidia_pickle,
    nvidia_tensors,
    torch_bytes,
    whole_pickle,
)
from tests.gan.foreign.tensorflow_files import tensorflow_pickle

COMMAND = "touch sentinel"
PETA = 2**50


class Call:
    """Pickled as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


class State(Call):
    """Pickled as a call whose result then gets a state."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (*self.call, {"__setstate__": Call(os.system, COMMAND), "__class__": "x", "__dict__": {"a": 1}})


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def name(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def number(value: int) -> bytes:
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def program(*parts: bytes, protocol: int = 4) -> bytes:
    return b"".join([b"\x80", bytes([protocol]), *parts, b"."])


def torch_zip(pickled: bytes, compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for member, data in {"data.pkl": pickled, **members}.items():
            archive.writestr(f"archive/{member}", data)
    return buffer.getvalue()


def older_file(pickled: bytes, keys: list[str], data: bytes = b"") -> bytes:
    parts = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    return b"".join(pickle.dumps(part, 2) for part in parts) + pickled + pickle.dumps(keys, 2) + data


def nested(blob: bytes) -> bytes:
    """A tensor of NVIDIA's whose storage is `blob`."""
    return name("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(blob)) + blob + b"\x85R"


def storage(numel: int, kind: bytes | None = None, key: bytes | None = None) -> bytes:
    parts = [text("storage"), kind or name("torch", "FloatStorage"), key or text("0"), text("cpu"), number(numel)]
    return b"(" + b"".join(parts) + b"tQ"


def tensor(stored: bytes, size: bytes, stride: bytes, offset: int = 0) -> bytes:
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return rebuild + b"(" + stored + number(offset) + size + stride + b"\x89}tR"


def generator(stored: bytes) -> bytes:
    """A state dict with the tensor that tells a generator of rosinality's."""
    return b"}" + text("input.input") + stored + b"s"


def calls() -> dict[str, bytes]:
    """Real pickles that call something, in every protocol and every place a pickle can be."""
    things = {
        "system": Call(os.system, COMMAND),
        "eval": Call(eval, "open('sentinel', 'w')"),
        "exec": Call(exec, "open('sentinel', 'w')"),
        "open": Call(open, "sentinel", "w"),
        "subprocess": Call(subprocess.run, ["touch", "sentinel"]),
        "popen": Call(subprocess.Popen, ["touch", "sentinel"]),
        "import": Call(builtins.__import__, "antigravity"),
        "getattr": Call(getattr, Call(getattr, Call(builtins.__import__, "os"), "path"), "os"),
        "getattr of known": Call(getattr, dict, "fromkeys"),
        "methodcaller": Call(operator.methodcaller("system", COMMAND), Call(builtins.__import__, "os")),
        "partial": Call(functools.partial(os.system, COMMAND)),
        "nested": Call(eval, Call(str, Call(bytes.decode, Call(os.getcwdb)))),
        "loads": Call(pickle.loads, pickle.dumps(Call(os.system, COMMAND))),
        "setstate": State(dict),
        "within": {"g_ema": {"input.input": [({"deep": Call(os.system, COMMAND)},)]}},
        "numpy objects": np.array([Call(os.system, COMMAND)], dtype=object),
        "numpy records": np.zeros(1, dtype=[("a", "f4"), ("b", "O")]),
        "key": {"g_ema": {Call(os.getcwd): 1}},
    }
    made = {f"{key}-{p}": pickle.dumps(thing, p) for key, thing in things.items() for p in (2, 3, 4, 5)}
    system = pickle.dumps(things["system"], 2)
    blob = older_file(system, [])
    with nvidia_modules():
        networks = {key: Persistent("Generator", state=Call(os.system, COMMAND)) for key in ("G", "G_ema")}
        made["in a network"] = pickle.dumps(networks, 4)
        made["a network of source alone"] = pickle.dumps({"G_ema": Persistent("Generator")}, 4)
    return made | {
        "in a zip": torch_zip(system),
        "by torch.save": torch_bytes({"g_ema": things["system"]}),
        "by torch.save before": torch_bytes({"g_ema": things["system"]}, is_zip=False),
        "in the older format": blob,
        "instead of its version": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + system,
        "in a nested file": program(nested(blob)),
        "in a nested plain pickle": program(nested(system)),
        "three deep": program(nested(program(nested(blob)))),
    }


def instructions() -> dict[str, bytes]:
    """What Python's unpickler does besides calling what REDUCE is given, and names that are none."""
    system, args = name("os", "system"), text(COMMAND) + b"\x85"
    known = name("argparse", "Namespace")
    return {
        "INST": b"\x80\x02(" + text(COMMAND) + b"ios\nsystem\n.",
        "OBJ": program(b"(", system, text(COMMAND), b"o"),
        "NEWOBJ": program(system, args, b"\x81"),
        "NEWOBJ_EX": program(system, args, b"}\x92"),
        "BUILD": program(known, b")\x81}", text("__setstate__"), system, b"sb"),
        "BUILD of text": program(text("a"), b"}b"),
        "BUILD of a name": program(known, b"}", text("call"), b"Nsb"),
        "OBJ of a known name": program(b"(", known, b"o"),
        "NEWOBJ_EX of a known name": program(known, b")}\x92"),
        "BUILD of __setstate__": program(known, b")\x81}", text("__setstate__"), text("os.system"), b"sb"),
        "BUILD of __class__": program(b"}}", text("__class__"), known, b"sb"),
        "EXT1": program(b"\x82\x01", protocol=2),
        "EXT4": program(b"\x84\x01\0\0\0", protocol=2),
        "PERSID": b"\x80\x02Pos.system\n.",
        "GLOBAL": program(b"cos\nsystem\n", args, b"R"),
        "GLOBAL without end": b"\x80\x02c" + b"a" * 500,
        "dotted": program(name("torch", "_utils._rebuild_tensor_v2"), b")R"),
        "dotted class": program(name("collections", "OrderedDict.__class__"), b")R"),
        "STACK_GLOBAL of numbers": program(number(1), number(2), b"\x93"),
        "STACK_GLOBAL of lists": program(b"]]\x93"),
        "STACK_GLOBAL of bytes": program(b"C\x02osC\x06system\x93"),
        "STACK_GLOBAL of nothing": program(b"\x93"),
        "Cyrillic": program(name("\u043es", "system"), args, b"R"),
        "full width": program(name("\uff4f\uff53", "system"), args, b"R"),
        "right to left": program(name("os\u202e", "metsys"), args, b"R"),
        "line break": program(name("os\nerror: all is well\n\x1b[2J", "system"), args, b"R"),
        "long name": program(name("a" * 5000, "b" * 5000), b")R"),
        "call of text": program(text("os.system"), args, b"R"),
        "call of a list": program(b"]", args, b"R"),
        "call of a storage": program(name("torch", "FloatStorage"), b")R"),
        "call without arguments": program(known, b"NR"),
        "call with wrong arguments": program(name("torch._utils", "_rebuild_tensor_v2"), args, b"R"),
        "FRAME lies": program(b"\x95" + b"\xff" * 8),
        "frame behind the end": program(b"\x95" + struct.pack("<Q", 100), b"N"),
        "protocol 0": b"cos\nsystem\n(S'touch sentinel'\ntR.",
        "protocol 9": b"\x80\x09N.",
        "empty stack": program(b"R"),
        "no mark": program(b"t"),
        "no value": program(),
        "unknown memo": program(b"h\x05"),
        "memo of nothing": program(b"q\x05"),
        "append to text": program(text("a"), b"Na"),
        "items of a list": program(b"]NNs"),
        "odd items": program(b"}(Nu"),
        "not UTF-8": program(b"\x8c\x02\xff\xfe"),
        "float cut short": b"\x80\x02G\0\0",
        "buffer outside": program(b"\x97", protocol=5),
        "NumPy objects": program(name("numpy", "dtype"), b"(", text("O8"), b"\x89\x88tR"),
        "NumPy type of 2 letters": program(name("numpy", "dtype"), b"(", text("f8\n"), b"\x89\x88tR"),
        "NumPy array of no bytes": program(
            name("numpy.core.multiarray", "_reconstruct") + b")R(" + number(1) + numbers(1),
            name("numpy", "dtype") + b"(" + text("u1") + b"tR\x89Ntb",
        ),
        "NumPy array of uint16": pickle.dumps(np.zeros(2, np.uint16), 4),
        "NumPy array of text": program(name("numpy.core.numeric", "_frombuffer"), args, b"R"),
        "a parameter of text": program(name("torch._utils", "_rebuild_parameter"), args, b"R"),
        "a tuple of text": program(name("builtins", "tuple"), args, b"R"),
        "a set of lists": program(name("builtins", "set"), b"]]a\x85R"),
        "bytes by rot13": program(name("_codecs", "encode"), text(COMMAND) + text("rot13"), b"\x86R"),
        "a file of text": program(name("torch.storage", "_load_from_bytes"), args, b"R"),
        "NumPy number of no bytes": program(
            name("numpy.core.multiarray", "scalar"), b"(", name("numpy", "dtype"), b"(", text("f8"), b"tRC\0tR"
        ),
    }


def persistent_ids() -> dict[str, bytes]:
    good = tensor(storage(48), numbers(48), numbers(1))
    module = b"(" + text("module") + name("torch", "FloatStorage") + text("os.system('touch sentinel')") + b"tQ"
    ids = {
        "a module": module,
        "text": text("os.system") + b"Q",
        "a list": b"]Q",
        "an unknown module": b"(" + text("module") + name("a", "b") + text("os.system('touch sentinel')") + b"tQ",
        "a storage of an unknown type": storage(48, kind=name("torch", "a")),
        "a type by text": storage(48, kind=text("torch.FloatStorage")),
        "another type": storage(48, kind=name("collections", "OrderedDict")),
        "a key that is a path": tensor(storage(48, key=text("../../etc/passwd")), numbers(48), numbers(1)),
        "a key that is no text": storage(48, key=b"]"),
        "less than nothing": storage(-1),
        "two types": storage(48) + b"0" + storage(48, kind=name("torch", "ByteStorage")),
        "two lengths": b"]" + storage(48) + b"a" + storage(49) + b"a",
    }
    made = {f"{key} in a zip": torch_zip(program(part), **{"data/0": b"\0" * 192}) for key, part in ids.items()}
    lies = b"\x31" + b"\0" * 7 + b"\0" * 196
    return made | {
        "in a plain pickle": program(generator(good)),
        "no such data": torch_zip(program(generator(good))),
        "a key that is not listed": older_file(program(generator(good)), []),
        "a key that is not known": older_file(program(generator(good)), ["0", "1"], b"\0" * 400),
        "keys that are no text": older_file(program(generator(good)), [[]]),  # type: ignore[list-item]
        "another length than declared": older_file(program(generator(good)), ["0"], lies),
        "big-endian": torch_zip(program(generator(good)), byteorder=b"big", **{"data/0": b"\0" * 192}),
    }


def sizes() -> dict[str, bytes]:
    """What declares more than it brings, or would be large once it is built."""
    peta = tensor(storage(PETA), numbers(PETA), numbers(1))
    some = {"data/0": b"\0" * 192}
    views = {
        "stride of nothing": (numbers(PETA), numbers(0)),
        "behind the end": (numbers(49), numbers(1)),
        "far stride": (numbers(2), numbers(PETA)),
        "less than nothing": (numbers(-1), numbers(1)),
        "many dimensions": (numbers(*[1] * 5000), numbers(*[1] * 5000)),
        "no numbers": (numbers(0, PETA), numbers(1, 1)),
        "sizes that are lists": (b"]\x85", numbers(1)),
        "fewer strides": (numbers(4, 4), numbers(1)),
        "an offset": (numbers(48), numbers(1)),
    }
    made = {
        f"a view: {key}": torch_zip(
            program(generator(tensor(storage(48), *view, offset=int(key == "an offset")))), **some
        )
        for key, view in views.items()
    }
    header = b'{"input.input":{"dtype":"F32","shape":[1125899906842624],"data_offsets":[0,4503599627370496]}}'
    deep = b'{"a":' + b"[" * 100_000 + b"}"
    array = name("numpy.core.multiarray", "_reconstruct") + b")R(" + number(1) + numbers(PETA)
    many = b"(" + b"".join(number(i) + storage(48, key=text("0")) for i in range(3)) + b"u"
    shared = tensor(storage(2**18), numbers(2**18), numbers(1)) + b"q\0"
    twice = b"".join(text(f"convs.{i}.weight") + b"h\0s" for i in range(50))
    blob = older_file(program(storage(2000)), ["0"], struct.pack("<Q", 2000) + b"\0" * 8000)
    load = name("torch.storage", "_load_from_bytes") + b"q\0B" + struct.pack("<I", len(blob)) + blob + b"\x85q\1R0"
    return (
        made
        | amplified()
        | {
            "a petabyte in a zip": torch_zip(program(generator(peta)), **some),
            "a petabyte in the older format": older_file(program(generator(peta)), ["0"], struct.pack("<Q", PETA)),
            "a petabyte in a nested file": program(nested(older_file(program(storage(PETA)), ["0"], b"\0" * 7))),
            "a petabyte in safetensors": struct.pack("<Q", len(header)) + header,
            "a petabyte in NumPy": program(array, name("numpy", "dtype"), b"(", text("f8"), b"tR\x89C\1\0tb"),
            "JSON without end": struct.pack("<Q", len(deep)) + deep,
            "a header without end": struct.pack("<Q", 2**62) + b"{",
            "storages as values": torch_zip(program(b"}", many), **some),
            "one tensor fifty times": torch_zip(
                program(b"}", text("input.input"), shared, b"s", twice), **{"data/0": b"\0" * 2**20}
            ),
            "one file a thousand times": program(b"]", load.replace(b"R0", b"Ra") + b"h\0h\1Ra" * 1000),
            "a long number": program(b"\x8b" + struct.pack("<I", 10**6) + b"\1" * 10**6),
            "long text": program(b"\x8d" + struct.pack("<Q", 2**63)),
            "long bytes": program(b"\x8e" + struct.pack("<Q", 2**63 - 1)),
            "a million sets": program(b"\x8f" * 510_000),
            "keys that collide": program(b"}(", b"".join(number(i * (2**61 - 1)) + b"N" for i in range(5000)), b"u"),
            "a zip bomb": torch_zip(program(b"N"), zipfile.ZIP_DEFLATED, **{"data/0": b"\0" * 50_000_000}),
            "a packed pickle": torch_zip(program(b"N" * 10**6), zipfile.ZIP_DEFLATED),
            "a zip without its end": torch_zip(program(b"N"))[:-22],
            "an empty zip": b"PK\5\6" + b"\0" * 18,
        }
    )


def amplified() -> dict[str, bytes]:
    """One large thing, and a few bytes that use it, a thousand times. Each would end in terabytes or in hours."""
    words = b"](" + b"".join(text(f"{i}") for i in range(50_000)) + b"e\x85q\1"
    fields = b"}(" + b"".join(text(f"{i}") + b"N" for i in range(50_000)) + b"uq\1"
    long_text = text("a" * 2**20)
    return {
        "sets of one list": program(name("builtins", "set"), b"q\0", words, b"h\0h\1R" * 1000),
        "bytes of one text": program(
            name("_codecs", "encode"), b"q\0(", long_text, text("latin1"), b"tq\1", b"h\0h\1R" * 1000
        ),
        "objects of one state": program(fields, name("argparse", "Namespace"), b"q\0", b"h\0)\x81h\1b" * 1000),
        "unknown calls of one list": program(name("a", "b"), b"q\0", words, b"h\0h\1R" * 1000),
        "unknown objects of one state": program(fields, name("a", "b"), b"q\0", b"h\0)\x81h\1b" * 1000),
        "unknown names": program(b"]", b"".join(name("a", f"{i}") + b"a" for i in range(5000))),
        "a million unknown objects": program(name("a", "b"), b"q\0", b"h\0)\x81" * 200_000),
        "names of one text": program(b"}(" + b"".join(number(i) + b"}" for i in range(9)) + long_text + b"}u"),
        "a long name in a zip": torch_zip(program(b"N"), **{"a" * 2000: b""}),
    }


def loops() -> dict[str, bytes]:
    """Values that hold themselves, lie deep, or branch without end."""
    doubled = b"}q\0" + b"".join(
        b"}" + text("a") + b"h" + bytes([i]) + b"s" + text("b") + b"h" + bytes([i]) + b"sq" + bytes([i + 1])
        for i in range(60)
    )
    rebuild = name("torch_utils.persistence", "_reconstruct_persistent_obj")
    meta = b"}(" + text("type") + text("class") + text("class_name") + text("G") + text("state")
    own = rebuild + meta + b"}" + text("_modules") + b"}q\0su\x85R" + b"q\1h\0" + text("a") + b"h\1s"
    endless: list[Any] = []
    endless.append(endless)
    with nvidia_modules():
        settings = pickle.dumps(network(nvidia_tensors(), _init_kwargs={"a": endless}), 4)
    given = nvidia_pickle().replace(b"\x8c\x05z_dim", b"\x8c\x05a_dim")
    return {
        "a list in itself": program(b"]q\0h\0a"),
        "a dictionary in itself": program(b"}q\0", text("g_ema"), b"h\0s"),
        "a tuple in itself": program(b"]q\0h\0\x85a"),
        "a network in itself": program(own),
        "an argument in itself": program(rebuild, b"]q\0h\0a\x85R"),
        "settings in themselves": settings,
        "branches": program(doubled),
        "deep lists": program(b"]" * 100_000 + b"a" * 99_999),
        "deep tuples": program(b")" + b"\x85" * 100_000),
        "deep dictionaries": program(b"".join(b"}" + text("a") for _ in range(50_000)), b"N", b"s" * 50_000),
        "a deep key": program(b"})" + b"\x85" * 100_000 + b"Ns"),
        "deep tuples in a set": program(b"\x8f()" + b"\x85" * 100_000 + b"\x90"),
        "long names": program(b"".join(b"}" + text("a" * 200) for _ in range(20)), b"}", b"s" * 20),
        "names with line breaks": torch_bytes({"input.input\nerror: \x1b[2J": torch.zeros(2)}),
        "names that look alike": torch_bytes({"\u0456nput.input": torch.zeros(2), "input.input": torch.zeros(2)}),
        "a network without state": program(rebuild, b"}\x85R"),
        "an unknown object in itself": program(
            name("a", "b"), b")\x81q\0", text("a"), b"h\0s}", text("_modules"), b"h\0sb"
        ),
        "an unknown object that calls itself": program(name("a", "b"), b")\x81q\0h\0\x85R"),
        "another kind of object": given.replace(b"\x8c\x05class", b"\x8c\x05ssalc"),
    }


def generators() -> dict[str, bytes]:
    """Whole StyleGAN2s but for one thing, which only shows once a network is built of them."""
    wide = {"mapping__fc0__weight": torch.zeros(1, 16384, dtype=torch.uint8)}
    wide |= {f"mapping__fc{i}__weight": torch.zeros(1, dtype=torch.uint8) for i in range(1, 99)}
    deep = {f"mapping__fc{i}__weight": torch.zeros(1, 1, dtype=torch.uint8) for i in range(1, 120)}
    return {
        "a hundred layers far wider than they are": whole_pickle(
            mapping__fc99__weight=torch.zeros(16384, 1, dtype=torch.uint8), **wide
        ),
        "more layers than any mapping network has": whole_pickle(**deep),
        "a layer that has no numbers for its bias": whole_pickle(synthesis__b8__conv1__bias=torch.zeros(1)),
        "a tensor too many": whole_pickle(synthesis__b8__conv2__bias=torch.zeros(4)),
        "a multiplier that is a long list": whole_pickle(of_g={"lr_multiplier": ["a" * 100] * 5000}),
        "an activation of a long list": whole_pickle(of_g={"activation": ["a" * 100] * 5000}),
        "a multiplier that is no number": whole_pickle(of_g={"lr_multiplier": float("nan")}),
        "a filter of nothing": whole_pickle(synthesis__b8__resample_filter=torch.zeros(4, 4)),
    }


def tensorflow() -> dict[str, bytes]:
    """Networks of TensorFlow that call, hold themselves, or have other things than variables."""
    network = name("dnnlib.tflib.network", "Network") + b")\x81"
    good = tensorflow_pickle()
    attack = pickle.dumps(Call(os.system, COMMAND), 2)[2:-1]

    def state(variables: bytes, components: bytes = b"}") -> bytes:
        return b"}" + text("variables") + variables + b"s" + text("components") + components + b"sb"

    pair = text("lod") + b"G" + bytes(8) + b"\x86"
    doubled = (
        network
        + state(b"]")
        + b"q\0"
        + b"".join(
            network
            + state(b"]", b"}" + text("a") + b"h" + bytes([i]) + b"s" + text("b") + b"h" + bytes([i]) + b"s")
            + b"q"
            + bytes([i + 1])
            for i in range(60)
        )
    )
    return {
        "a call in a variable": program(network, state(b"]" + text("lod") + attack + b"\x86a")),
        "a call in its arguments": program(network, b"}", text("static_kwargs"), attack, b"sb"),
        "no state": program(network),
        "a state that is no dictionary": program(network, b"]b"),
        "variables that are text": program(network, state(text("variables"))),
        "variables of three": program(network, state(b"]" + text("a") + text("b") + b"N\x87a")),
        "a variable without a name": program(network, state(b"]NG" + bytes(8) + b"\x86a")),
        "a long name": program(network, state(b"]" + text("a" * 5000) + b"G" + bytes(8) + b"\x86a")),
        "an unknown object as a variable": program(network, state(b"]" + text("a") + name("a", "b") + b")\x81\x86a")),
        "many variables": program(network, state(b"]" + pair + b"q\0a" + b"h\0a" * 100_000)),
        "a network in itself": program(network, b"q\0", state(b"]", b"}" + text("a") + b"h\0s")),
        "parts that branch": program(doubled),
        "many networks": program(b"(", network * 5000, b"t"),
        "nothing but parts": program(network, state(b"]", b"}" + text("synthesis") + network + state(b"]") + b"s")),
        "a variable of a petabyte": program(
            network,
            state(
                b"]"
                + text("a")
                + name("numpy.core.multiarray", "_reconstruct")
                + b")R("
                + number(1)
                + numbers(PETA)
                + name("numpy", "dtype")
                + b"("
                + text("f4")
                + b"tR\x89C\4\0\0\0\0tb\x86a"
            ),
        ),
        "cut short": good[: len(good) // 2],
    }


def archives() -> dict[str, bytes]:
    """Archives that grow, lie, or hold each other."""
    system = pickle.dumps(Call(os.system, COMMAND), 2)

    def tar(size: bytes, content: bytes = b"") -> bytes:
        name = b"../../gan.pkl".ljust(124, b"\0")
        return (name + size).ljust(156, b"\0") + b"0".ljust(101, b"\0") + b"ustar".ljust(255, b"\0") + content

    bomb = gzip.compress(b"\0" * 100_000_000)
    nested = gzip.compress(gzip.compress(gzip.compress(gzip.compress(system))))
    lies = zipped("gan.pkl", system, zipfile.ZIP_DEFLATED)
    declared = struct.pack("<I", len(system))
    return {
        "an attack in a gz": gzip.compress(system),
        "an attack in a zip": zipped("a/gan.pkl", system, zipfile.ZIP_DEFLATED),
        "an attack in a tar": tar(b"%011o\0" % len(system), system.ljust(1024, b"\0")),
        "a gz bomb": bomb,
        "a bomb of bombs": gzip.compress(bomb),
        "a zip bomb with a checkpoint's name": zipped("gan.pkl", b"\0" * 100_000_000, zipfile.ZIP_DEFLATED),
        "archives without end": nested,
        "a gz of nothing": gzip.compress(b""),
        "a gz cut short": gzip.compress(system)[:-9],
        "a gz of noise": b"\x1f\x8b\x08" + bytes(50),
        "a zip that lies about a size": lies.replace(declared, struct.pack("<I", 2**31)),
        "a zip in LZMA": zipped("gan.pkl", system, zipfile.ZIP_LZMA),
        "an encrypted zip": zipped("gan.pkl", system).replace(b"PK\1\2\x14\x03\x14\0\0", b"PK\1\2\x14\x03\x14\0\1"),
        "a tar of a petabyte": tar(b"77777777777\0"),
        "a tar of less than nothing": tar(b"-0000000001\0"),
        "a tar of a long number": tar(b"\x80" + b"\xff" * 11),
        "a tar of many files": tar(b"00000000000\0") * 20_000,
        "a tar of many folders": tar(b"00000000000\0").replace(
            b"0" + bytes(100) + b"ustar", b"5" + bytes(100) + b"ustar"
        )
        * 20_000,
    }


def zipped(name: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def hostile_files() -> dict[str, bytes]:
    groups = {
        "calls": calls(),
        "instructions": instructions(),
        "ids": persistent_ids(),
        "sizes": sizes(),
        "loops": loops(),
        "generators": generators(),
        "archives": archives(),
        "tensorflow": tensorflow(),
    }
    return {f"{group}: {key}": data for group, made in groups.items() for key, data in made.items()}

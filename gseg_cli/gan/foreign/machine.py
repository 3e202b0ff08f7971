"""A pickle read as data: a machine for the part of the pickle language that checkpoints are written in.

A pickle is a program for a small stack machine. Python's unpickler imports whatever name that program gives and calls
it; this machine has nothing to import or call with. A name is looked up in a fixed list (known.py) of functions that
build plain values; a name that is not in the list stands for itself, and a call of it makes an object without content.
The instructions are those of protocols 2 to 5 that describe data; the rest (INST, OBJ, EXT1, NEWOBJ_EX, text
instructions, buffers outside the file) is not there.

Nothing grows beyond the file: the number of instructions and the amount of text are limited, a call costs as many
instructions as it has arguments to look at, and bytes are views of the file. No value is ever walked in depth, compared
or printed here, and none that would be is taken as a key, so loops and depth do no harm.

Instructions and their encoding: Lib/pickletools.py of CPython.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

from gseg_cli.gan.foreign.allowance import Allowance
from gseg_cli.gan.foreign.errors import damaged, shown
from gseg_cli.gan.foreign.known import Known, Unknown, Unread, build
from gseg_cli.gan.foreign.recognise import check_name

MAX_INT_BYTES = 32  # the longest whole number known is of 17 bytes, in the state of NumPy's random numbers
MAX_NAME_BYTES = 256


class Machine:
    """Runs the pickles that lie in `data`, one after the other.

    names: the globals they may use, by module and name. persistent: turns a persistent id into a value.
    """

    def __init__(
        self,
        data: memoryview,
        names: Mapping[tuple[str, str], Known],
        persistent: Callable[[Any], Any],
        allowance: Allowance,
    ) -> None:
        self.data, self.names, self.persistent, self.allowance = data, names, persistent, allowance
        self.position = 0  # of the next byte
        self.stack: list[Any] = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value of the pickle at `position`, which is then behind it. CheckpointError when it is no plain data."""
        self.stack, self.marks, self.memo = [], [], {}
        try:
            while (code := self.take(1)[0]) != STOP:
                self.spend(1)
                if code not in INSTRUCTIONS:
                    raise damaged(f"its pickle holds the instruction {bytes([code])!r}, which no checkpoint needs")
                INSTRUCTIONS[code](self)
            return self.stack.pop()
        except (IndexError, KeyError) as error:  # of the stack, and of the memo
            raise damaged("its pickle takes a value that it never made") from error
        except UnicodeDecodeError as error:
            raise damaged("its pickle holds text that is not UTF-8") from error

    def take(self, count: int) -> memoryview:
        """The next bytes, as a view of the file."""
        if count > len(self.data) - self.position:
            raise damaged("its pickle ends in the middle")
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, num_bytes: int) -> int:
        return int.from_bytes(self.take(num_bytes), "little")

    def integer(self, num_bytes: int) -> int:
        if num_bytes > MAX_INT_BYTES:
            raise damaged(f"its pickle holds a whole number of {num_bytes} bytes")
        return int.from_bytes(self.take(num_bytes), "little", signed=True)

    def text(self, num_bytes: int) -> str:
        self.spend_text(num_bytes)
        return str(self.take(num_bytes), "utf-8")

    def spend(self, num_instructions: int) -> None:
        self.allowance.instructions -= num_instructions
        if self.allowance.instructions < 0:
            raise damaged("its pickle has more instructions than any checkpoint")

    def spend_text(self, num_bytes: int) -> None:
        self.allowance.text_bytes -= num_bytes
        if self.allowance.text_bytes < 0:
            raise damaged("its pickle holds more text than any checkpoint")

    def spend_arguments(self, *values: Any) -> None:
        """What is built may look at every item of its arguments; one large list can be the argument of many calls."""
        for value in values:
            if isinstance(value, str):
                self.spend_text(len(value))
            elif isinstance(value, tuple | list | dict | set):
                self.spend(len(value))

    def line(self) -> str:
        ahead = bytes(self.data[self.position : self.position + MAX_NAME_BYTES])
        num_bytes = ahead.find(b"\n")
        if num_bytes < 0:
            raise damaged("its pickle holds a name without an end")
        return self.text(num_bytes + 1)[:-1]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def pop_tuple(self, count: int) -> tuple[Any, ...]:
        items = [self.stack.pop() for _ in range(count)]
        return tuple(reversed(items))

    def top(self, kind: type) -> Any:
        """The collection that is being filled; it stays on the stack."""
        if not isinstance(self.stack[-1], kind):
            raise damaged(f"its pickle fills a {type(self.stack[-1]).__name__} as if it were a {kind.__name__}")
        return self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], Unread):  # which has no place for items without a name
            self.top(list).extend(items)

    def add(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], Unread):
            self.top(set).update(keys(items))

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise damaged("its pickle holds a dictionary with a key that has no value")
        target = self.top(dict)
        for name, value in zip(items[::2], items[1::2], strict=True):
            if (known := key(name)) is not NO_KEY:
                target[known] = value

    def lookup(self, module: Any, name: Any) -> Known | Unknown:
        if not isinstance(module, str) or not isinstance(name, str):
            raise damaged("its pickle asks for a name that is no text")
        if (known := self.names.get((module, name))) is not None:
            return known
        check_name(module, name)
        unknown = Unknown(f"{shown(module)}.{shown(name)}")
        self.allowance.note_unread(unknown.name)
        return unknown

    def call(self, function: Any, args: Any) -> Any:
        """The value that stands for a call. Only names from the list can be called, and they only build data.

        What an unknown name would make, or a known one of what is unread, is unread.
        """
        if isinstance(function, Unknown | Unread):
            return Unread(function.name)
        if not isinstance(function, Known) or function.call is None or not isinstance(args, tuple):
            what = f"{function.module}.{function.name}" if isinstance(function, Known) else type(function).__name__
            raise damaged(f"its pickle calls {what}, which is nothing to call")
        self.spend_arguments(args)
        self.spend_arguments(*args)
        if any(isinstance(arg, Unknown | Unread) for arg in args):
            return Unread(f"{function.module}.{function.name}")
        return function.call(args)

    def build(self, state: Any) -> None:
        self.spend_arguments(state)
        build(self.stack[-1], state)

    def load_persistent(self, persistent_id: Any) -> Any:
        self.spend_arguments(persistent_id)
        return self.persistent(persistent_id)

    def memoize(self, index: int) -> None:
        """Picklers count from 0, Python 2's from 1; numbers at choice could be made to collide, for hours."""
        if index > len(self.memo) + 1:
            raise damaged(f"its pickle keeps value {index}, expected up to {len(self.memo) + 1}")
        self.memo[index] = self.stack[-1]

    def skip_frame(self) -> None:
        """A frame only announces how many bytes can be read at once."""
        if self.number(8) > len(self.data) - self.position:
            raise damaged("its pickle ends in the middle")

    def check_protocol(self) -> None:
        if (protocol := self.number(1)) not in (2, 3, 4, 5):
            raise damaged(f"its pickle is of protocol {protocol}, expected 2 to 5")


NO_KEY = object()


def key(value: Any) -> Any:
    """A key of a dictionary or an item of a set; NO_KEY for what leads to no tensor, whose entry is left out.

    Only what takes no time to hash: a tuple of tuples would be walked in depth. A number becomes text, because which
    numbers collide is known, and which texts do differs from one process to the next.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return str(value)
    return NO_KEY


def keys(items: list[Any]) -> set[Any]:
    return {key(item) for item in items} - {NO_KEY}


# The arguments of a call are evaluated from left to right, so `call(pop, pop)` would take them in the wrong order.
def _call(machine: Machine) -> None:
    args = machine.stack.pop()
    machine.push(machine.call(machine.stack.pop(), args))


def _stack_global(machine: Machine) -> None:
    name = machine.stack.pop()
    machine.push(machine.lookup(machine.stack.pop(), name))


STOP = ord(".")
INSTRUCTIONS: dict[int, Callable[[Machine], None]] = {
    ord(code): run
    for code, run in {
        "\x80": lambda m: m.check_protocol(),  # PROTO
        "\x95": lambda m: m.skip_frame(),  # FRAME
        # Constants
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "K": lambda m: m.push(m.number(1)),  # BININT1
        "M": lambda m: m.push(m.number(2)),  # BININT2
        "J": lambda m: m.push(m.integer(4)),  # BININT
        "\x8a": lambda m: m.push(m.integer(m.number(1))),  # LONG1
        "\x8b": lambda m: m.push(m.integer(m.number(4))),  # LONG4
        "G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),  # BINFLOAT
        "\x8c": lambda m: m.push(m.text(m.number(1))),  # SHORT_BINUNICODE
        "X": lambda m: m.push(m.text(m.number(4))),  # BINUNICODE
        "\x8d": lambda m: m.push(m.text(m.number(8))),  # BINUNICODE8
        "C": lambda m: m.push(m.take(m.number(1))),  # SHORT_BINBYTES
        "B": lambda m: m.push(m.take(m.number(4))),  # BINBYTES
        "\x8e": lambda m: m.push(m.take(m.number(8))),  # BINBYTES8
        "\x96": lambda m: m.push(m.take(m.number(8))),  # BYTEARRAY8
        # Collections
        "(": lambda m: m.marks.append(len(m.stack)),  # MARK
        ")": lambda m: m.push(()),
        "\x85": lambda m: m.push(m.pop_tuple(1)),
        "\x86": lambda m: m.push(m.pop_tuple(2)),
        "\x87": lambda m: m.push(m.pop_tuple(3)),
        "t": lambda m: m.push(tuple(m.pop_mark())),
        "]": lambda m: m.push([]),
        "a": lambda m: m.extend([m.stack.pop()]),  # APPEND
        "e": lambda m: m.extend(m.pop_mark()),  # APPENDS
        "}": lambda m: m.push({}),
        "s": lambda m: m.set_items(list(m.pop_tuple(2))),  # SETITEM
        "u": lambda m: m.set_items(m.pop_mark()),  # SETITEMS
        "\x8f": lambda m: m.push(set()),
        "\x90": lambda m: m.add(m.pop_mark()),  # ADDITEMS
        "\x91": lambda m: m.push(keys(m.pop_mark())),  # FROZENSET
        # The memo
        "q": lambda m: m.memoize(m.number(1)),  # BINPUT
        "r": lambda m: m.memoize(m.number(4)),  # LONG_BINPUT
        "\x94": lambda m: m.memoize(len(m.memo)),  # MEMOIZE
        "h": lambda m: m.push(m.memo[m.number(1)]),  # BINGET
        "j": lambda m: m.push(m.memo[m.number(4)]),  # LONG_BINGET
        # Names, and what is built with them
        "c": lambda m: m.push(m.lookup(m.line(), m.line())),  # GLOBAL
        "\x93": _stack_global,
        "R": _call,  # REDUCE
        "\x81": _call,  # NEWOBJ: a class instead of a function, which is the same here
        "b": lambda m: m.build(m.stack.pop()),  # BUILD
        "Q": lambda m: m.push(m.load_persistent(m.stack.pop())),  # BINPERSID
    }.items()
}

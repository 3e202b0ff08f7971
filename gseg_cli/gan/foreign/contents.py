"""The tensors in what was read, each under the path of names that leads to it."""

from dataclasses import dataclass, field
from typing import Any

from gseg_cli.gan.foreign.errors import damaged, shown
from gseg_cli.gan.foreign.known import Network
from gseg_cli.gan.foreign.stored import StoredTensor

MAX_ENTRIES = 200_000  # 10,000 in a file with three networks at 1024 px and the state of two optimisers
MAX_NAME = 300
MAX_DEPTH = 32
MAX_SETTINGS = 10_000


@dataclass
class Contents:
    tensors: dict[str, StoredTensor] = field(default_factory=dict)  # "g_ema.conv1.conv.weight"
    networks: dict[str, Network] = field(
        default_factory=dict
    )  # "G_ema.", "G_ema.synthesis.b4."; "" for the file's value


def list_contents(value: Any) -> Contents:
    """Every tensor and every NVIDIA network in nested dictionaries.

    What leads back to itself ends at MAX_DEPTH, what branches again and again at MAX_ENTRIES.
    """
    contents = Contents()
    waiting: list[tuple[str, int, Any]] = [("", 0, value)]
    num_entries = 0
    while waiting:
        name, depth, value = waiting.pop()
        if isinstance(value, StoredTensor):
            contents.tensors[name.removesuffix(".")] = value
            continue
        if isinstance(value, Network):
            contents.networks[name] = value
        parts = _parts(value)
        num_entries += 1 + sum(len(part) for part in parts)
        if num_entries > MAX_ENTRIES or depth > MAX_DEPTH:
            raise damaged("its dictionaries lie within each other without end")
        children = [(key, child) for part in parts for key, child in part.items() if _is_kept(child, key, value)]
        waiting += [(_join(name, key), depth + 1, child) for key, child in reversed(children)]
    return contents


def _parts(value: Any) -> list[dict[Any, Any]]:
    """The dictionaries to search: of a network parameters, buffers and modules, as in torch's state dict."""
    if isinstance(value, Network):
        parts = [value.state.get(part) for part in ("_parameters", "_buffers", "_modules")]
        return [part for part in parts if isinstance(part, dict)]
    return [value] if isinstance(value, dict) else []


def _is_kept(child: Any, key: Any, parent: Any) -> bool:
    """Whether an entry leads on to tensors; not a buffer that its module does not save."""
    temporary = parent.state.get("_non_persistent_buffers_set") if isinstance(parent, Network) else None
    is_temporary = isinstance(temporary, set) and key in temporary
    return isinstance(child, dict | Network | StoredTensor) and not is_temporary


def _join(name: str, key: Any) -> str:
    """Names are printed in messages and looked up as attributes, so they are short, and of letters that can be seen."""
    text = key if isinstance(key, str) else str(key)
    if len(name) + len(text) > MAX_NAME or not (text.isascii() and text.isprintable()):
        raise damaged(f"its tensors have names that are no names: {shown(text)}")
    return f"{name}{text}."


def plain(value: Any) -> Any:
    """Settings as numbers, short printable text, and nested dictionaries and lists of them; anything else becomes None.

    CheckpointError when they are too many.
    """
    num_left = MAX_SETTINGS

    def walk(value: Any, depth: int) -> Any:
        nonlocal num_left
        num_left -= 1
        if num_left < 0 or depth > MAX_DEPTH:
            raise damaged("its settings lie within each other without end")
        match value:
            case bool() | float():
                return value
            case int():
                return value if abs(value) < 2**63 else None
            case str():
                return shown(value)
            case dict():
                return {shown(str(key)): walk(child, depth + 1) for key, child in value.items()}
            case list() | tuple():
                return [walk(child, depth + 1) for child in value]
        return None

    return walk(value, 0)

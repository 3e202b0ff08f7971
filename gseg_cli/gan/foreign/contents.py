"""The tensors in what was read, each under the path of names that leads to it."""

from dataclasses import dataclass, field
from typing import Any

from gseg_cli.gan.foreign.errors import damaged, shown
from gseg_cli.gan.foreign.known import Network, Unread
from gseg_cli.gan.foreign.stored import StoredTensor

MAX_ENTRIES = 200_000  # 10,000 in a file with three networks at 1024 px and the state of two optimisers
MAX_NAME = 300
MAX_DEPTH = 32
MAX_SETTINGS = 10_000
MAX_LISTED = 16


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
    if isinstance(value, list | tuple):  # of networks or their states, as some save them
        value = {str(i): child for i, child in enumerate(value[:MAX_LISTED])}
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
        waiting += [(f"{name}{key}.", depth + 1, child) for key, child in reversed(children) if _is_name(name, key)]
    return contents


def _parts(value: Any) -> list[dict[Any, Any]]:
    """The dictionaries to search: of a module parameters, buffers and modules, as in torch's state dict."""
    parts = [value] if isinstance(value, dict) else []
    if isinstance(value, Network | Unread) and value.state is not None:
        of_module = [value.state.get(part) for part in ("_parameters", "_buffers", "_modules")]
        parts += [part for part in of_module if isinstance(part, dict)]
    return parts


def _is_kept(child: Any, key: Any, parent: Any) -> bool:
    """Whether an entry leads on to tensors; not a buffer that its module does not save."""
    state = parent.state if isinstance(parent, Network | Unread) else None
    temporary = state.get("_non_persistent_buffers_set") if state is not None else None
    is_temporary = isinstance(temporary, set) and key in temporary
    return isinstance(child, dict | Network | StoredTensor) and not is_temporary


def _is_name(name: str, key: Any) -> bool:
    """Names are printed in messages and looked up as attributes, so they are short, and of letters that can be seen."""
    text = key if isinstance(key, str) else str(key)
    return len(name) + len(text) <= MAX_NAME and text.isascii() and text.isprintable()


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

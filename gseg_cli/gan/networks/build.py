"""Building a network around tensors that were read from a file."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gseg_cli.gan.foreign.errors import shown
from gseg_cli.gan.networks import ops
from gseg_runtime.errors import CheckpointError

MAX_REASON = 300  # letters; torch lists every tensor that is missing


class _NothingDrawn(TorchFunctionMode):
    """torch.normal knows nothing of the meta device; within, it draws nothing either."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.normal:
            _mean, _std, size = args
            return torch.empty(size, device="meta")
        return func(*args, **(kwargs or {}))


def build(network: Any, tensors: Mapping[str, Tensor], *args: Any) -> Any:
    """network(*args) with these tensors for its own, in float32.

    Nothing is allocated before every name and shape is found to fit; CheckpointError when one does not. Filters may be
    left out, they are constants.
    """
    try:
        with torch.device("meta"), _NothingDrawn():
            module = network(*args)
        state = {k: ops.resample_filter() for k in module.state_dict() if k.endswith("resample_filter")}
        state |= {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}
        module.load_state_dict(state, assign=True)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[:2][-1].strip()  # the first line of two or more is a heading
        message = f"its tensors do not fit its config: {shown(reason, MAX_REASON)}"
        raise CheckpointError(
            _about_whole_numbers(tensors, error) or message,
            "the file is damaged or holds another network; download it again",
        ) from error
    return module


def _about_whole_numbers(tensors: Mapping[str, Tensor], error: Exception) -> str | None:
    """What to say of weights that are whole numbers, of which torch speaks as of gradients."""
    whole = ((name, tensor.dtype) for name, tensor in tensors.items() if not tensor.is_floating_point())
    if "floating point" not in str(error) or (first := next(whole, None)) is None:
        return None
    name, dtype = first
    return f"{shown(name)}: expected weights in floating point, got {str(dtype).removeprefix('torch.')}"

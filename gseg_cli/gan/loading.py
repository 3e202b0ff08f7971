"""Building a network around tensors that were read from a file."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gseg_cli.gan import ops
from gseg_cli.gan.foreign.errors import shown
from gseg_runtime.errors import CheckpointError

MAX_REASON = 300  # letters; torch lists every tensor that is missing


def build(network: Any, tensors: Mapping[str, Tensor], *args: Any) -> Any:
    """network(*args) with these tensors for its own, in float32.

    Nothing is allocated before every name and shape is found to fit; CheckpointError when one does not. Filters may be
    left out, they are constants.
    """
    try:
        with torch.device("meta"):
            module = network(*args)
        state = {k: ops.resample_filter() for k in module.state_dict() if k.endswith("resample_filter")}
        state |= {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}
        module.load_state_dict(state, assign=True)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[:2][-1].strip()  # the first line of two or more is a heading
        message = f"its tensors do not fit its config: {shown(reason, MAX_REASON)}"
        raise CheckpointError(message, "the file is damaged, or another network; get it again") from error
    return module

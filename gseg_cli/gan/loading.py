"""Building a network around tensors that were read from a file."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gseg_cli.gan import ops
from gseg_runtime.errors import CheckpointError


def build(network: Any, tensors: Mapping[str, Tensor], *args: Any) -> Any:
    """network(*args) with these tensors for its own, in float32.

    Nothing is allocated before every name and shape is found to fit; CheckpointError when one does not. Filters may be
    left out, they are constants.
    """
    with torch.device("meta"):
        module = network(*args)
    state = {k: ops.resample_filter() for k in module.state_dict() if k.endswith("resample_filter")}
    state |= {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise CheckpointError(f"its tensors do not fit its config: {reason}") from error
    return module

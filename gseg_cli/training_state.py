"""What a training goes on from, as flat tensors: networks as NAME.KEY, optimisers as NAME.INDEX.MOMENT."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def state_of(networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    """INDEX is that of the parameter in its optimiser."""
    tensors: dict[str, Tensor] = {}
    for name, net in networks.items():
        tensors |= {f"{name}.{key}": value for key, value in net.state_dict().items()}
    for name, optimizer in optimizers.items():
        for i, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{i}.{key}": value for key, value in moments.items()}
    return tensors


def load_state(
    tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> None:
    """What `state_of` gave; tensors of other names are passed over."""
    for name, net in networks.items():
        net.load_state_dict(_within(tensors, name))
    for name, optimizer in optimizers.items():
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": _moments(optimizer, _within(tensors, name)), "param_groups": groups})


def _within(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = name + "."
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _moments(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Each moment in the memory order of its parameter.

    Fused steps walk the two side by side in memory: of other strides, they would move the wrong weights.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {i: {} for i in range(len(parameters))}
    for key, value in tensors.items():
        i, name = key.split(".")
        is_moment = name != "step"
        state[int(i)][name] = torch.empty_like(parameters[int(i)]).copy_(value) if is_moment else value
    return state

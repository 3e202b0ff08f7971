"""Writes torch-1.7.1/: checkpoints as most published ones were written, for tests/gan/foreign/test_old_torch.py.

    python3.7 tests/golden/make_torch_1_7.py        # with torch 1.7.1, numpy 1.21.6

Python 3.7 and torch 1.7.1 are what stylegan2-ada-pytorch asks for. Its classes are stood in for, since its files carry
their source; values are 0, 1, 2 ... in each tensor.
"""

import argparse
import collections
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent / "torch-1.7.1"
NVIDIA = {"mapping.w_avg": (4,), "synthesis.b4.const": (3, 4, 4), "synthesis.b4.conv1.weight": (2, 3, 3, 3)}
ROSINALITY = {"style.1.weight": (4, 4), "input.input": (1, 3, 4, 4), "noises.noise_0": (1, 1, 4, 4)}


def count(size):
    return torch.arange(float(np.prod(size))).reshape(size)


persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")
exec("def _reconstruct_persistent_obj(meta): pass", persistence.__dict__)
util.EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
for name in ("torch_utils", "dnnlib"):
    sys.modules[name] = types.ModuleType(name)
sys.modules.update({"torch_utils.persistence": persistence, "dnnlib.util": util})


class Persistent:
    def __init__(self, **state):
        self.state = state

    def __reduce__(self):
        meta = {"type": "class", "version": 6, "module_src": "raise SystemExit", "class_name": "Module"}
        return persistence._reconstruct_persistent_obj, (dict(meta, state=self.state),)


def network(sizes, **attributes):
    parameters, modules, children = collections.OrderedDict(), collections.OrderedDict(), {}
    for name, size in sizes.items():
        first, _, rest = name.partition(".")
        if rest:
            children.setdefault(first, {})[rest] = size
        else:
            layout = torch.channels_last if len(size) == 4 else torch.contiguous_format
            tensor = count(size).to(memory_format=layout)
            parameters[first] = torch.nn.Parameter(tensor, requires_grad=False)
    for name, child in children.items():
        modules[name] = network(child)
    fields = {"_buffers": collections.OrderedDict(), "_non_persistent_buffers_set": set(), "gain": np.sqrt(0.5)}
    return Persistent(_parameters=parameters, _modules=modules, training=False, **fields, **attributes)


def main():
    HERE.mkdir(exist_ok=True)
    given = {"z_dim": 4, "mapping_kwargs": util.EasyDict(num_layers=2)}
    snapshot = {"G": network({}), "G_ema": network(NVIDIA, _init_args=(), _init_kwargs=given), "augment_pipe": None}
    (HERE / "nvidia.pkl").write_bytes(pickle.dumps(snapshot, 3))
    tensors = collections.OrderedDict((name, count(size)) for name, size in ROSINALITY.items())
    args = argparse.Namespace(size=4, n_mlp=1, channel_multiplier=2)
    state = {"g_ema": tensors, "g_optim": {"state": {0: {"step": 1}}}, "args": args, "ada_aug_p": np.float64(0.5)}
    torch.save(state, str(HERE / "rosinality.pt"))
    torch.save(state, str(HERE / "rosinality-before-1.6.pt"), _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()

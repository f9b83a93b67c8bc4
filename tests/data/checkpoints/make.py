#!/usr/bin/env python3
"""Makes the checkpoints beside this script, with PyTorch (any version from 1.6 on), numpy and safetensors. Nothing in
the tests needs it again."""
import argparse
import collections
import os

import numpy
import torch
from safetensors.torch import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))
torch.manual_seed(0)


def make_state():
    state = collections.OrderedDict()
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8 - 1
    state["stem.0.weight"] = torch.randn(4, 3, 2, 2)
    state["transposed"] = base.t()  # not contiguous, and shares its storage with the next two
    state["row"] = base[1]
    state["strided"] = base[::2, 1::2]
    state["expanded"] = torch.tensor([1.5]).expand(3, 1)
    state["half"] = (torch.arange(5) / 4).half()
    state["bfloat"] = (torch.arange(5) / 3).bfloat16()
    state["double"] = torch.tensor(2.5, dtype=torch.float64)
    state["bn.num_batches_tracked"] = torch.tensor(7)
    state["short"] = torch.tensor([-3, 300], dtype=torch.int16)
    state["char"] = torch.tensor([-3, 100], dtype=torch.int8)
    state["byte"] = torch.tensor([3, 200], dtype=torch.uint8)
    state["bool"] = torch.tensor([True, False])
    state["empty"] = torch.zeros(0, 4)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state


def make_expected(state):
    wide = {torch.int16: torch.int32, torch.int8: torch.int32}
    return {name: value.to(wide.get(value.dtype, value.dtype)).clone().contiguous() for name, value in state.items()}


class Call:
    """Would run a command where a pickle is simply loaded."""

    def __reduce__(self):
        return os.system, ("touch checkpoint_was_executed",)


def save(what, name, legacy=False, **options):
    torch.save(what, name, _use_new_zipfile_serialization=not legacy, **options)


state = make_state()
training = {
    "epoch": 3,
    "best": numpy.float64(3.25),
    "model_state": collections.OrderedDict(("module." + name, value) for name, value in state.items()),
    "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
    "args": argparse.Namespace(lr=0.1, more=[1, {2}]),
    "milestones": collections.Counter([1, 1, 2]),
    "size": torch.Size([2, 3]),
    "dtype": torch.float16,
    "big": 1 << 70,
    "negative": -5,
    "none": None,
    "device": torch.device("cpu"),
}
save(state, "bare_zip.pt")
save(state, "bare_legacy.pt", legacy=True)
save(training, "inside_zip.pt")
save(training, "inside_legacy.pth.tar", legacy=True)
save(training, "proto4_legacy.pt", legacy=True, pickle_protocol=4)
save({"w": torch.ones(2), "call": Call()}, "refused_call_zip.pt")
save({"w": torch.ones(2), "call": Call()}, "refused_call_legacy.pt", legacy=True)
save(torch.nn.Linear(2, 3), "refused_module_zip.pt")
save_file(make_expected(state), "expected.safetensors")

"""Networks of ndarts in PyTorch: forward and backward on the generated kernels, under PyTorch's own loop and optimiser.

    net = ndarts.compile("genotypes/darts_v2.nd", kind="train", batch=96, set={"auxiliary": 0})
    model = ndarts.torch.Module(net)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.025, momentum=0.9)
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    loss.backward()

A backward pass computes the forward pass again, from the images: between the two nothing is kept but they and the weights.
"""
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch

from ._errors import InputError
from ._net import Net


def _as_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().contiguous().numpy()


class _Function(torch.autograd.Function):
    """Of the images and all parameters; the module is what they are parameters of."""

    @staticmethod
    def forward(ctx: Any, module: 'Module', step: int, images: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        ctx.module, ctx.step, ctx.epoch = module, step, (module.epoch, module.epochs)
        ctx.save_for_backward(images, *parameters)
        logits = module._new_logits(images)
        with module.net._lock:
            ctx.load = module._load(parameters)
            module.net.run_pass('train-forward', {'input': _as_numpy(images)}, {'logits': logits}, seed=module.seed, step=step, epoch=module.epoch,
                                epochs=module.epochs)
            module._keep_statistics()
        return torch.from_numpy(logits).to(images.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: torch.Tensor) -> Tuple[Optional[torch.Tensor], ...]:
        module, (images, *parameters) = ctx.module, ctx.saved_tensors
        needed = ctx.needs_input_grad[2:]
        names = ['input', *module._names]
        outputs = {f'grad/{name}': np.empty(tensor.shape, module._dtype)
                   for name, tensor, wanted in zip(names, (images, *parameters), needed) if wanted}
        with module.net._lock:
            if ctx.load != module.net._loads: # others have come since; PyTorch sees to it that these have not changed
                module._load(parameters)
            module.net.run_pass('gradients', {'input': _as_numpy(images), 'grad_output': _as_numpy(grad_output)}, outputs, seed=module.seed,
                                step=ctx.step, epoch=ctx.epoch[0], epochs=ctx.epoch[1])
        gradients = [torch.from_numpy(outputs[f'grad/{name}']).to(grad_output.device) if wanted else None
                     for name, wanted in zip(names, needed)]
        return (None, None, *gradients)


def _check_free(root: torch.nn.Module, part: str, name: str) -> None:
    if hasattr(root, part):
        raise InputError(f"{name}: '{part}' is a name of {type(root).__name__}'s own, of which PyTorch makes no module or parameter; the stage of "
                         'the network should have another')


def _register(root: torch.nn.Module, name: str, value: torch.Tensor, is_buffer: bool) -> None:
    """Under the name that it has in the state_dict: a module for each part of it."""
    *path, last = name.split('.')
    for part in path:
        if part not in root._modules:
            _check_free(root, part, name)
            root.add_module(part, torch.nn.Module())
        root = root._modules[part]
    _check_free(root, last, name)
    if is_buffer:
        root.register_buffer(last, value)
    else:
        root.register_parameter(last, torch.nn.Parameter(value))


class Module(torch.nn.Module):
    """A net of the kind "train" as a module: images, N x C x H x W, to logits, N x classes.

    Its parameters and buffers have the names of the net's state_dict, so that checkpoints of the same network in PyTorch fit. In
    training mode (`train()`) batch norm uses the batch, which is at most net.batch images, and noise and drop path act, as the text says;
    `epoch` and `epochs` are for schedules of the text, `seed` names the draws, of which each forward pass has its own. In evaluation
    mode there are any number of images, and no gradients. Its weights are its own: several modules may have one net, which each
    loads with its weights, and so may others who load it.
    """

    def __init__(self, net: Net, seed: int = 0):
        super().__init__()
        self.net, self.seed, self.step, self.epoch, self.epochs = net, seed, 0, 0, 1
        state = net.state_dict()
        tensors = [tensor for tensor in net.parameters if tensor.kind != 'optimizer']
        self._dtype = net.outputs[0].dtype
        self._names = [tensor.name for tensor in tensors if tensor.kind != 'statistic']
        self._statistics = [tensor.name for tensor in tensors if tensor.kind == 'statistic']
        for tensor in tensors:
            _register(self, tensor.name, torch.from_numpy(state[tensor.name]), tensor.kind == 'statistic')

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        parameters: Dict[str, torch.Tensor] = dict(self.named_parameters())
        if self.training:
            self.step += 1
            return _Function.apply(self, self.step, images, *[parameters[name] for name in self._names])
        with self.net._lock:
            self._load([parameters[name] for name in self._names])
            logits = self.net(_as_numpy(images))
        return torch.from_numpy(logits).to(images.device)

    def _new_logits(self, images: torch.Tensor) -> np.ndarray:
        return np.empty((images.shape[0], *self.net.outputs[0].shape[1:]), self._dtype)

    def _load(self, parameters: Any) -> int:
        """What PyTorch has now, into the net; which load this is."""
        buffers = dict(self.named_buffers())
        values: List[Tuple[str, torch.Tensor]] = [*zip(self._names, parameters), *((name, buffers[name]) for name in self._statistics)]
        self.net.load_state_dict({name: _as_numpy(value) for name, value in values})
        return self.net._loads

    def _keep_statistics(self) -> None:
        state, buffers = self.net.state_dict(), dict(self.named_buffers())
        with torch.no_grad():
            for name in self._statistics:
                buffers[name].copy_(torch.from_numpy(state[name]))

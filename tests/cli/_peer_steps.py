"""Run by peers.py in an environment with PyTorch, in the folder where peers.py ran the search and the training of steps.py: both once more
with autograd, torch.optim.SGD and Adam, clip_grad_norm_ and, as in the published code, CosineAnnealingLR; only the draws are ndarts'.

    _peer_steps.py FOLDER_OF_THIS"""
import math
import sys

import torch
from torch.nn import functional

sys.path.append(sys.argv[1])  # last: profile.py there is not the library's
import _draws  # pylint: disable=wrong-import-position
import _safetensors  # pylint: disable=wrong-import-position
import steps  # pylint: disable=wrong-import-position

torch.set_default_dtype(torch.float64)
SEED, EPOCHS = 5, 2


def drawn(kind, stream, number, base, like):
    """An element's number counts channels first: the tensors are NCHW."""
    images, channels, height, width = like
    return torch.tensor([[[[kind(SEED, stream, number, base + n, (y * width + x) * channels + c) for x in range(width)] for y in range(height)]
                          for c in range(channels)] for n in range(images)])


def masked(x, stream, number, base, keep):
    return x * (drawn(_draws.uniform, stream, number, base, (len(x), 1, 1, 1)) < keep) / keep


def mixed(values, cell, alphas, x, number, base, decay, keep):
    noise = 0.1 + 0.3 * x.std().detach() * drawn(_draws.normal, f'noise.{cell}._ops.0', number, base, x.shape)
    weights = torch.softmax(values[alphas][0], 0)
    return weights[0] * masked(x + decay * noise, f'mask.{cell}._ops.0', number, base, keep) + \
        weights[1] * functional.conv2d(x, values[f'{cell}._ops.0._ops.1.weight'])


def forward(command, values, x, number, base, decay, keep):
    x = functional.conv2d(x, values['stem.weight'])
    if command == 'search':
        x = mixed(values, 'a', 'alphas_normal', x, number, base, decay, keep)
        x = mixed(values, 'b', 'alphas_reduce', x, number, base, decay, keep)
    else:
        x = masked(functional.conv2d(x, values['a._ops.0.weight']), 'mask.a._ops.0', number, base, keep) + x
    return functional.linear(x.mean((2, 3)), values['classifier.weight'], values['classifier.bias'])


def replay(command, weights):
    values = {name: torch.tensor(numbers).reshape(steps.WEIGHTS[name]).requires_grad_() for name, numbers in weights.items()}
    alphas = [value for name, value in values.items() if name.startswith('alphas')]
    others = [value for name, value in values.items() if not name.startswith('alphas')]
    adam = torch.optim.Adam(alphas, lr=0.1, betas=(0.5, 0.999), weight_decay=0.01) if alphas else None
    sgd = torch.optim.SGD(others, lr=0.5, momentum=0.9, weight_decay=0.01)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, EPOCHS, eta_min=0.1)
    images, labels = steps.pictures()
    before = 0
    for epoch, _, at, is_alphas, chosen, base in steps.passes(command, SEED, EPOCHS):
        if epoch != before:
            cosine.step()
            before = epoch
        number = 2 * at + (1 if is_alphas else 2) if command == 'search' else at + 1
        keep = 0.7 if command == 'search' else 1 - 0.4 * epoch / EPOCHS
        decay = (1 + math.cos(math.pi * epoch / 50)) / 2
        for value in values.values():
            value.grad = None
        x = torch.tensor([images[i] for i in chosen]).reshape(len(chosen), 1, 3, 4)
        functional.cross_entropy(forward(command, values, x, number, base, decay, keep), torch.tensor([labels[i] for i in chosen])).backward()
        if not is_alphas:
            torch.nn.utils.clip_grad_norm_(others, 1)
        (adam if is_alphas else sgd).step()
    return values


for command in ('search', 'train'):
    found = _safetensors.numbers(f'{command}/checkpoint.safetensors')
    for name, value in replay(command, _safetensors.numbers(f'{command}.safetensors')).items():
        far = ((torch.tensor(found[name]) - value.flatten()).abs().max() / value.abs().max()).item()
        if far > 1e-6:
            sys.exit(f'{command}: {name} is {found[name]}, not {value.tolist()}')
print('agree')

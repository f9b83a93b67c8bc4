"""The networks that ndarts is measured against, in plain PyTorch: the DARTS and NoisyDARTS supernet, the CIFAR network of a
genotype with its auxiliary head, and NoisyDARTS-A for ImageNet. Names are those of the published state_dict, so that one
safetensors file serves both sides. peer_check.py shows that they compute the stored reference values.
"""
import json
import math
import re
import struct
from dataclasses import dataclass

import numpy
import torch
import torch.nn as nn
import torch.nn.functional as F

CANDIDATES = ('max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5')


def read_safetensors(path):
    """name -> numpy array, and the metadata."""
    types = {'F32': numpy.float32, 'F64': numpy.float64, 'I64': numpy.int64, 'I32': numpy.int32}
    with open(path, 'rb') as file:
        size = struct.unpack('<Q', file.read(8))[0]
        header, data = json.loads(file.read(size)), file.read()
    metadata = header.pop('__metadata__', {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry['data_offsets']
        tensors[name] = numpy.frombuffer(data[begin:end], types[entry['dtype']]).reshape(entry['shape'])
    return tensors, metadata


def write_safetensors(path, tensors):
    """name -> numpy array of float32."""
    header, blobs, at = {}, [], 0
    for name, array in tensors.items():
        blob = numpy.ascontiguousarray(array, numpy.float32).tobytes()
        header[name] = {'dtype': 'F32', 'shape': list(array.shape), 'data_offsets': [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(blobs))


# ---- operations ----

def depthwise(channels, kernel, stride, padding, dilation=1):
    return nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)


def relu_depthwise_pointwise(channels, kernel, stride, padding, dilation, affine):
    return [nn.ReLU(), depthwise(channels, kernel, stride, padding, dilation), nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, affine=affine)]


class Operation(nn.Module):
    """A sequence under the name op."""

    def __init__(self, *parts):
        super().__init__()
        self.op = nn.Sequential(*parts)

    def forward(self, x):
        return self.op(x)


class FactorizedReduce(nn.Module):
    def __init__(self, inputs, outputs, affine):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.conv_2 = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x):
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


def relu_conv_bn(inputs, outputs, affine):
    return Operation(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs, affine=affine))


def make_operation(name, channels, stride, affine):
    if name == 'max_pool_3x3':
        return nn.MaxPool2d(3, stride, 1)
    if name == 'avg_pool_3x3':
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if name == 'skip_connect':
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)
    kernel = int(name[-1])
    if name.startswith('dil_conv'):
        return Operation(*relu_depthwise_pointwise(channels, kernel, stride, kernel - 1, 2, affine))
    if name.startswith('sep_conv'):
        return Operation(*relu_depthwise_pointwise(channels, kernel, stride, kernel // 2, 1, affine),
                         *relu_depthwise_pointwise(channels, kernel, 1, kernel // 2, 1, affine))
    raise ValueError(f'no operation {name}')


# ---- noise ----

@dataclass
class Noise:
    """What the skip connections of a supernet do in training; keep < 1 drops whole images after the noise."""
    kind: str = ''  # gaussian, uniform or none
    multiplicative: bool = False
    factor: float = 0.0  # gaussian: standard deviation; uniform: variance
    mean: float = 0.0
    decay: float = 1.0
    keep: float = 1.0
    feed: object = None  # (kind of draw, path of the mixed operation, shape) -> tensor, instead of random numbers

    def draw(self, what, mixed, x):
        shape = x.shape if what != 'mask' else (x.shape[0], 1, 1, 1)
        if self.feed:
            return self.feed(what, mixed.path, shape, x.dtype)
        if what == 'mask':
            return torch.empty(shape, dtype=x.dtype).bernoulli_(self.keep)
        return torch.randn_like(x) if what == 'gaussian' else torch.rand_like(x)

    def apply(self, x, mixed):
        if self.kind:
            u = self.draw(self.kind, mixed, x)
            n = u * self.factor if self.kind == 'gaussian' else (1 - 2 * u) * math.sqrt(3 * self.factor)
            if self.multiplicative:
                x = x * (self.mean + n) * self.decay
            elif self.kind == 'gaussian':
                x = x + self.decay * (self.mean + n * x.detach().std())
            else:
                x = x + self.decay * (self.mean + n)
        if self.keep < 1:
            x = x / self.keep * self.draw('mask', mixed, x)
        return x


# ---- cells ----

class MixedOperation(nn.Module):
    def __init__(self, channels, stride, path, noise):
        super().__init__()
        self.path, self.noise = path, noise
        self._ops = nn.ModuleList(make_operation(name, channels, stride, False) for name in CANDIDATES)
        self.bn1 = nn.BatchNorm2d(channels, affine=False)
        self.bn2 = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x, weights):
        max_pool, avg_pool, skip = self._ops[0], self._ops[1], self._ops[2](x)
        if self.training:
            skip = self.noise.apply(skip, self)
        total = weights[0] * self.bn1(max_pool(x)) + weights[1] * self.bn2(avg_pool(x)) + weights[2] * skip
        for i in range(3, len(self._ops)):
            total = total + weights[i] * self._ops[i](x)
        return total


class Cell(nn.Module):
    def __init__(self, before_last, last, channels, reduction, reduced, affine):
        super().__init__()
        self.reduction = reduction
        self.preprocess0 = FactorizedReduce(before_last, channels, affine) if reduced else relu_conv_bn(before_last, channels, affine)
        self.preprocess1 = relu_conv_bn(last, channels, affine)

    def stride(self, source):
        return 2 if self.reduction and source < 2 else 1


class SearchCell(Cell):
    def __init__(self, before_last, last, channels, reduction, reduced, path, noise):
        super().__init__(before_last, last, channels, reduction, reduced, False)
        edges = [source for node in range(4) for source in range(2 + node)]
        self._ops = nn.ModuleList(MixedOperation(channels, self.stride(s), f'{path}._ops.{i}', noise) for i, s in enumerate(edges))

    def forward(self, s0, s1, weights):
        states, at = [self.preprocess0(s0), self.preprocess1(s1)], 0
        for node in range(4):
            total = sum(self._ops[at + i](s, weights[at + i]) for i, s in enumerate(states))
            at += 2 + node
            states.append(total)
        return torch.cat(states[2:], 1)


def drop_path(x, keep, path, feed):
    mask = feed('mask', path, (x.shape[0], 1, 1, 1), x.dtype) if feed else torch.empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
    return x / keep * mask


class GenotypeCell(Cell):
    def __init__(self, edges, before_last, last, channels, reduction, reduced, path):
        super().__init__(before_last, last, channels, reduction, reduced, True)
        self.path, self.sources = path, [source for _, source in edges]
        self._ops = nn.ModuleList(make_operation(name, channels, self.stride(source), True) for name, source in edges)

    def forward(self, s0, s1, keep, feed):
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        for node in range(4):
            parts = []
            for i in (2 * node, 2 * node + 1):
                part = self._ops[i](states[self.sources[i]])
                if self.training and keep < 1 and not isinstance(self._ops[i], nn.Identity):
                    part = drop_path(part, keep, f'{self.path}._ops.{i}', feed)
                parts.append(part)
            states.append(parts[0] + parts[1])
        return torch.cat(states[2:], 1)


# ---- networks ----

def make_cells(channels, layers, make):
    """The cells and the channels of the last output; make(before_last, last, channels, reduction, reduced, index)."""
    before_last = last = 3 * channels
    cells, reduced = nn.ModuleList(), False
    for i in range(layers):
        reduction = i in (layers // 3, 2 * layers // 3)
        channels *= 2 if reduction else 1
        cells.append(make(before_last, last, channels, reduction, reduced, i))
        before_last, last, reduced = last, 4 * channels, reduction
    return cells, last


def make_stem(channels):
    return nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))


class SearchNetwork(nn.Module):
    def __init__(self, channels=16, layers=8, classes=10, noise=None):
        super().__init__()
        self.noise = noise or Noise()
        self.stem = make_stem(channels)
        self.cells, last = make_cells(channels, layers, lambda *cell: SearchCell(*cell[:-1], f'cells.{cell[-1]}', self.noise))
        self.classifier = nn.Linear(last, classes)
        self.alphas_normal = nn.Parameter(1e-3 * torch.randn(14, len(CANDIDATES)))
        self.alphas_reduce = nn.Parameter(1e-3 * torch.randn(14, len(CANDIDATES)))

    def alphas(self):
        return [self.alphas_normal, self.alphas_reduce]

    def weights(self):
        return [p for name, p in self.named_parameters() if not name.startswith('alphas')]

    def forward(self, x):
        normal, reduce = F.softmax(self.alphas_normal, -1), F.softmax(self.alphas_reduce, -1)
        s0 = s1 = self.stem(x)
        for cell in self.cells:
            s0, s1 = s1, cell(s0, s1, reduce if cell.reduction else normal)
        return self.classifier(s1.mean((2, 3)))


class AuxiliaryHead(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(), nn.AvgPool2d(5, 3, 0, count_include_pad=False), nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128), nn.ReLU(), nn.Conv2d(128, 768, 2, bias=False), nn.BatchNorm2d(768), nn.ReLU())
        self.classifier = nn.Linear(768, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class GenotypeNetwork(nn.Module):
    """In training mode it returns (logits, auxiliary logits), else the logits."""

    def __init__(self, genotype, channels=36, layers=20, classes=10, auxiliary=True, keep=1.0, feed=None):
        super().__init__()
        self.keep, self.feed, self.auxiliary_at = keep, feed, 2 * layers // 3
        self.stem = make_stem(channels)
        self.cells, last = make_cells(channels, layers, lambda *cell: GenotypeCell(
            genotype['reduce' if cell[3] else 'normal'], *cell[:-1], f'cells.{cell[-1]}'))
        if auxiliary:
            self.auxiliary_head = AuxiliaryHead(16 * channels, classes)
        self.classifier = nn.Linear(last, classes)

    def forward(self, x):
        s0 = s1 = self.stem(x)
        auxiliary = None
        for i, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, self.keep, self.feed)
            if i == self.auxiliary_at and self.training and hasattr(self, 'auxiliary_head'):
                auxiliary = self.auxiliary_head(s1)
        logits = self.classifier(s1.mean((2, 3)))
        return (logits, auxiliary) if self.training else logits


def read_genotype(path, name):
    """The cells of a genotype's text: {'normal': [(operation, source), ...], 'reduce': ...}."""
    text = re.sub(r'#.*', '', open(path).read())
    body = re.search(rf'genotype\s+{name}\s*\{{(.*?\}}.*?\}})', text, re.S).group(1)
    return {cell: [(op, int(source)) for op, source in re.findall(r'(\w+)\(s(\d)\)', re.search(rf'{cell}\s*\{{(.*?)\}}', body, re.S).group(1))]
            for cell in ('normal', 'reduce')}


# ---- NoisyDARTS-A, the ImageNet model ----

NOISY_DARTS_A_BLOCKS = (
    ((3, 2, 6, 32),), ((3, 1, 3, 32),), ((5, 2, 6, 40),) + 3 * ((3, 1, 6, 40),),
    ((5, 2, 6, 80), (7, 1, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80)) + 4 * ((3, 1, 6, 96),),
    ((3, 2, 6, 192), (7, 1, 6, 192), (7, 1, 6, 192), (7, 1, 6, 192), (7, 1, 6, 320)))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduced):
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.conv_expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.conv_expand(F.silu(self.conv_reduce(x.mean((2, 3), keepdim=True)))))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, kernel, stride, expansion, outputs):
        super().__init__()
        wide = expansion * inputs
        self.residual = stride == 1 and inputs == outputs
        self.conv_pw, self.bn1 = nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.conv_dw, self.bn2 = depthwise(wide, kernel, stride, kernel // 2), nn.BatchNorm2d(wide)
        self.se = SqueezeExcite(wide, inputs // 4)
        self.conv_pwl, self.bn3 = nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs)

    def forward(self, x):
        y = F.silu(self.bn2(self.conv_dw(F.silu(self.bn1(self.conv_pw(x))))))
        y = self.bn3(self.conv_pwl(self.se(y)))
        return x + y if self.residual else y


class Separable(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv_dw, self.bn1 = depthwise(inputs, 3, 1, 1), nn.BatchNorm2d(inputs)
        self.conv_pw, self.bn2 = nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.bn2(self.conv_pw(self.relu(self.bn1(self.conv_dw(x)))))


class MobileBlocks(nn.Module):
    def __init__(self, blocks=NOISY_DARTS_A_BLOCKS, classes=1000):
        super().__init__()
        self.conv_stem, self.bn1 = nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        groups, inputs = [nn.Sequential(Separable(32, 16))], 16
        for group in blocks:
            rows = []
            for kernel, stride, expansion, outputs in group:
                rows.append(InvertedResidual(inputs, kernel, stride, expansion, outputs))
                inputs = outputs
            groups.append(nn.Sequential(*rows))
        self.blocks = nn.Sequential(*groups)
        self.conv_head, self.bn2 = nn.Conv2d(inputs, 1280, 1, bias=False), nn.BatchNorm2d(1280)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x):
        x = self.blocks(self.relu1(self.bn1(self.conv_stem(x))))
        return self.classifier(self.relu2(self.bn2(self.conv_head(x))).mean((2, 3)))


# ---- weights ----

def load(network, tensors):
    """Takes every weight and statistic from name -> array; counters stay, alphas and an auxiliary head may be missing."""
    own = network.state_dict()
    missing = [name for name in own if name not in tensors and not name.endswith('num_batches_tracked')
               and not name.startswith(('alphas', 'auxiliary_head'))]
    if missing:
        raise ValueError(f'no weights for {missing[:5]}')
    network.load_state_dict({name: torch.from_numpy(numpy.array(array)) for name, array in tensors.items() if name in own}, strict=False)
    return network

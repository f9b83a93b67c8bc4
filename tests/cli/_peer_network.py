"""Run by peers.py in an environment with PyTorch: a network of DARTS cells as PyTorch modules, under the published names; its
checkpoints come through ndarts-run import, and what ndarts-run infer and export make of them is compared with PyTorch itself.

    _peer_network.py NDARTS_RUN GENOTYPES_FOLDER"""
import subprocess
import sys

import numpy
import onnxruntime
import torch
from safetensors.torch import load_file
from torch import nn

C, LAYERS, CLASSES, IMAGES = 4, 5, 10, 3
# noisy_darts_a: (operation, input) by node, two each
GENOTYPE = {
    'normal': [('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('dil_conv_3x3', 2), ('dil_conv_3x3', 3), ('sep_conv_3x3', 1),
               ('dil_conv_5x5', 4), ('dil_conv_3x3', 3)],
    'reduce': [('max_pool_3x3', 0), ('dil_conv_5x5', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 3),
               ('skip_connect', 2), ('dil_conv_5x5', 4)],
}


class Named(nn.Module):
    """A sequence called op."""

    def __init__(self, *stages):
        super().__init__()
        self.op = nn.Sequential(*stages)

    def forward(self, x):
        return self.op(x)


class Halve(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv_1 = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(inputs, outputs - outputs // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = torch.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


def separable(channels, kernel, stride, dilation):
    pad = (kernel // 2) * dilation
    return [nn.ReLU(), nn.Conv2d(channels, channels, kernel, stride, pad, dilation, channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)]


def operation(name, channels, stride):
    kernel = int(name[-1]) if name[-1].isdigit() else 0
    if name.startswith('max_pool'):
        return nn.MaxPool2d(kernel, stride, kernel // 2)
    if name == 'skip_connect':
        return nn.Identity() if stride == 1 else Halve(channels, channels)
    if name.startswith('dil_conv'):
        return Named(*separable(channels, kernel, stride, 2))
    return Named(*separable(channels, kernel, stride, 1), *separable(channels, kernel, 1, 1))


def project(inputs, outputs):
    return Named(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


class Cell(nn.Module):
    def __init__(self, edges, before, last, channels, reduction, reduced):
        super().__init__()
        self.edges = edges
        self.preprocess0 = Halve(before, channels) if reduced else project(before, channels)
        self.preprocess1 = project(last, channels)
        self._ops = nn.ModuleList(operation(name, channels, 2 if reduction and source < 2 else 1) for name, source in edges)

    def forward(self, s0, s1):
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        for node in range(0, len(self.edges), 2):
            states.append(sum(self._ops[e](states[self.edges[e][1]]) for e in (node, node + 1)))
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        channels, before, last, reduced = C, 3 * C, 3 * C, False
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * C, 3, padding=1, bias=False), nn.BatchNorm2d(3 * C))
        self.cells = nn.ModuleList()
        for i in range(LAYERS):
            reduction = i in (LAYERS // 3, 2 * LAYERS // 3)
            channels *= 2 if reduction else 1
            self.cells.append(Cell(GENOTYPE['reduce' if reduction else 'normal'], before, last, channels, reduction, reduced))
            before, last, reduced = last, 4 * channels, reduction
        self.classifier = nn.Linear(last, CLASSES)

    def forward(self, x):
        s0 = s1 = self.stem(x)
        for cell in self.cells:
            s0, s1 = s1, cell(s0, s1)
        return self.classifier(s1.mean((2, 3)))


def make_network():
    torch.manual_seed(1)
    network = Network().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network


def expect_near(what, found, expected):
    error = numpy.linalg.norm(found - expected) / numpy.linalg.norm(expected)
    if not error < 1e-5:
        sys.exit(f'{what}: logits differ by {error}')


def main(run, genotypes):
    network, images = make_network(), torch.randn(IMAGES, 3, 32, 32)
    with torch.no_grad():
        logits = network(images).numpy()
    numpy.save('x.npy', images.numpy())
    net = [f'{genotypes}/noisy_darts_a.nd', f'--set=C={C}', f'--set=layers={LAYERS}', '--set=auxiliary=0']
    state = network.state_dict()
    checkpoints = {
        'zip.pt': (state, True), 'legacy.pt': (state, False),
        'inside.pth.tar': ({'epoch': 3, 'state_dict': {f'module.{key}': value for key, value in state.items()},
                            'optimizer': torch.optim.SGD(network.parameters(), 0.1, momentum=0.9).state_dict()}, False),
    }
    for name, (value, as_zip) in checkpoints.items():
        torch.save(value, name, _use_new_zipfile_serialization=as_zip)
        subprocess.run([run, 'import', name, '--net', *net, '-o', 'w.safetensors'], check=True)
        imported = load_file('w.safetensors')
        if imported.keys() != state.keys() or not all(torch.equal(imported[key], state[key]) for key in state):
            sys.exit(f'{name}: other tensors')
    subprocess.run([run, 'infer', *net, '--weights', 'w.safetensors', '--input', 'x.npy', '--output', 'y.npy'], check=True)
    expect_near('infer', numpy.load('y.npy'), logits)

    subprocess.run([run, 'export', *net, '--weights', 'w.safetensors', '-o', 'own.safetensors'], check=True)
    fresh = Network().eval()
    fresh.load_state_dict(load_file('own.safetensors'), strict=True)
    with torch.no_grad():
        expect_near('exported weights in PyTorch', fresh(images).numpy(), logits)

    subprocess.run([run, 'export', *net, '--weights', 'w.safetensors', '-o', 'net.onnx'], check=True)
    session = onnxruntime.InferenceSession('net.onnx', providers=['CPUExecutionProvider'])
    expect_near('ONNX Runtime', session.run(None, {'input': images.numpy()})[0], logits)
    print('PyTorch, ONNX Runtime and ndarts agree')


main(*sys.argv[1:])

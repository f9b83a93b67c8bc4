#!/usr/bin/env python3
"""NAS-Bench-201: parameters and multiply-adds of networks from their strings, names and shapes of weights; S1 to S4 of RobustDARTS: the
candidates of every edge; as the published implementations have them (nas_bench_201.json)."""
import json
import os
import re
import subprocess
import sys
import tempfile

BUILD, SOURCE = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']
with open(os.path.join(SOURCE, 'tests', 'reference', 'nas_bench_201.json'), encoding='ascii') as file:
    EXPECTED = json.load(file)
SIZES = [('classes10', ()), ('classes100', ('classes=100',)), ('classes120', ('classes=120',)), ('flops_16x16_classes10', ('H=16', 'W=16'))]


def compile_text(path, sets, *options):
    command = [f'{BUILD}/bin/ndartsc', path, *options]
    for text in sets:
        command += ['--set', text]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def check_counts(folder, network):
    """The published counter adds the biases of the linear layer, of which there is one for each class."""
    path = os.path.join(folder, 'string.txt')
    with open(path, 'w', encoding='ascii') as text:
        text.write(network['string'] + '\n')
    wrong = []
    for key, sets in SIZES:
        wanted = network[key] if isinstance(network[key], dict) else {'flops': network[key]}
        found = json.loads(compile_text(path, sets, '--emit=stats', '--json'))
        classes = next((int(text[8:]) for text in sets if text.startswith('classes=')), 10)
        got = {'flops': found['macs'] + classes, 'params': found['parameters']}
        wrong += [f'{network["string"]}, {key}: {name} {got[name]}, not {value}' for name, value in wanted.items() if got[name] != value]
    return wrong


def names_and_shapes(ir):
    """Those that a state_dict has, in order of their names; the architecture parameters by their published name."""
    params = re.findall(r'^param "(.*?)": f32\[(.*?)\] \{kind="(weight|statistic|alpha)"', ir, re.M)
    published = {'alphas_normal': 'arch_parameters'}
    return sorted(f'{published.get(name, name)} [{shape.replace(",", ", ")}]' for name, shape, _ in params)


def check_names(folder, what, text, sets, graph):
    path = os.path.join(folder, what + '.nd')
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)
    found, wanted = names_and_shapes(compile_text(path, sets, '--emit=ir', f'--graph={graph}')), sorted(EXPECTED[what])
    return [f'{what}: {name}' for name in sorted(set(found) ^ set(wanted))]


def check_candidates(name, space):
    """What the spec of the space has on each edge, in order."""
    ir = compile_text(f'{SOURCE}/specs/robust_darts_{name}.nd', (), '--emit=ir')
    found = {key: re.findall(r'@(\w+)', value) for key, value in re.findall(r'^set (space\.candidates[\w.]*) = (.*)$', ir, re.M)}
    wrong = []
    for kind, published in (('normal', 'primitives_normal'), ('reduce', 'primitives_reduct')):
        for edge, wanted in enumerate(space[published]):
            got = found.get(f'space.candidates.{kind}.{edge}', found.get('space.candidates'))
            wrong += [f'{name}: edge {edge} of {kind} has {got}, not {wanted}'] if got != wanted else []
    return wrong


def main():
    sets = ['C=4', 'cells_per_stage=1']
    supernet = 'import "nas_bench_201.nd"\nsearch { space nas_bench_201  network nas_bench_201_search(C = 4, cells_per_stage = 1)  data synthetic }\n'
    with tempfile.TemporaryDirectory() as folder:
        wrong = [mistake for network in EXPECTED['networks'] for mistake in check_counts(folder, network)]
        wrong += check_names(folder, 'supernet', supernet, (), 'gradients')
        wrong += check_names(folder, 'network', EXPECTED['networks'][0]['string'] + '\n', sets, 'gradients')
    wrong += [mistake for name, space in EXPECTED['spaces'].items() for mistake in check_candidates(name, space)]
    print('\n'.join(wrong[:20]) if wrong else f'{len(EXPECTED["networks"])} networks and {len(EXPECTED["spaces"])} spaces are as published')
    return 1 if wrong or not EXPECTED['networks'] else 0


if __name__ == '__main__':
    sys.exit(main())

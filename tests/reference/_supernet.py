"""The search network under every noise: a pass with all gradients, then three first-order search steps."""
import _common

CELLS = ((4, 1), (8, 2), (16, 4))  # channels of the cells of a network with C = 4 and 3 layers, and the side of an image in theirs
EDGES, PASSES = 14, 7


def noise_text(noise):
    if not noise:
        return ''
    mixture = noise.get('mixture', 'additive')
    size = 'std' if noise['type'] == 'gaussian' else 'variance'
    decay = 'decay' if noise.get('decay') else ''
    return f'noise on skip_connect {{ {noise["type"]} {mixture} {size}={noise["factor"]} mean={noise.get("mean", 0)} {decay} }}'


def drop_text(probability):
    return f'drop_path on skip_connect {{ probability={probability} }}' if probability else ''


def feed_entries(case, steps=range(PASSES)):
    n, classes = case['N'], case['classes']
    entries = []
    for which in ('', '_valid'):
        entries.append(f'input{which}=input:{n},3,{case["H"]},{case["W"]}')
        entries.append(f'labels{which}=label/{classes}:{n}')
    for name in ('alphas_normal', 'alphas_reduce'):
        entries.append(f'{name}=unit:{EDGES},7')
    kind = {'gaussian': 'noise', 'uniform': 'uniform'}.get(case['noise'].get('type'))
    for cell, (channels, part) in enumerate(CELLS):
        side = case["H"] // part
        for edge in range(EDGES):
            for step in steps:
                stream = f'cells.{cell}._ops.{edge}.step{step}'
                if kind:
                    entries.append(f'noise.{stream}={kind}:{n},{channels},{side},{side}')
                if case['drop_path_on_skip']:
                    entries.append(f'mask.{stream}=keep/{1 - case["drop_path_on_skip"]}:{n}')
    return entries


def build(case, folder):
    text = f'''import "darts.nd"
search {{
    space darts   network cifar_search(C={case["C"]}, layers={case["layers"]})
    {noise_text(case["noise"])}
    {drop_text(case["drop_path_on_skip"])}
    data synthetic
    epochs 50  batch {case["N"]}
    weights sgd(lr=0.025, momentum=0.9, decay=3e-4, clip={case["clip"]})
    alphas adam(lr=3e-4, betas=(0.5, 0.999), decay=1e-3)
    order first
}}
'''
    result = _common.Case('supernet', case['key'], text, folder)
    result.make_weights()
    result.make_feed(feed_entries(case))
    result.options = ['--steps', '3', '--epoch', str(case['epoch'])]
    result.rules = ['-unrolled/', '-hessian/']
    return result


def main(precision):
    _common.run_all('supernet', precision, build)

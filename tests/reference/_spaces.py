"""NAS-Bench-201, supernet and networks under the published names, and the supernets of S1 to S4, as the published implementations have them."""
import os
import sys

import _common
import _supernet

sys.path.insert(0, os.path.join(os.environ['NDARTS_SOURCE'], 'tests', 'cli'))
import _safetensors  # noqa: E402

# The stored evaluations of S1 to S4 are those of a network that has seen the batch so often in training mode, which moves nothing but its
# running statistics, by a tenth of the way each time.
PASSES_BEFORE = 7

# What a step has on the way, without a name in ndarts; the network's updates are compared one by one.
PARTS = ['-grad_total_norm', '-search_update_total_norm'] + [f'-search{s}/grad/' for s in range(3)]


def images(case, which=('', '_valid')):
    shape = f'{case["N"]},3,{case["H"]},{case["W"]}'
    return [entry for valid in which for entry in (f'input{valid}=input:{shape}', f'labels{valid}=label/{case["classes"]}:{case["N"]}')]


def search(case, folder):
    bias = 'false' if case.get('no_conv_bias') else 'true'
    published = 'first weights  clip_over all' if case['key'].endswith('weights_first') else ''
    text = f'''import "nas_bench_201.nd"
search {{
    space nas_bench_201
    network nas_bench_201_search(C = {case["C"]}, cells_per_stage = {case["cells_per_stage"]}, conv_bias = {bias})
    data synthetic(H = {case["H"]}, W = {case["W"]})
    epochs 50  batch {case["N"]}  {published}
    weights sgd(lr = 0.025, momentum = 0.9, nesterov = true, decay = 5e-4, clip = 5)
    alphas adam(lr = 3e-4, betas = (0.5, 0.999), decay = 1e-3)
}}
'''
    result = _common.Case('spaces', case['key'], text, folder)
    result.make_feed(images(case) + ['alphas_normal=unit:6,5'])
    result.options = ['--steps', str(case.get('steps', 0))]
    result.rules = ['samples=64', '-weights_first/', 'arch_first/='] + PARTS + [f'-arch_first/{part[1:]}' for part in PARTS]
    return result


def robust_darts(case, folder):
    """Of S4 every edge draws, in evaluation too."""
    text = f'''import "robust_darts.nd"
search {{
    space robust_darts_{case["space"]}   network cifar_search(C = {case["C"]}, layers = {case["layers"]})
    data synthetic(H = {case["H"]}, W = {case["W"]})
    batch {case["N"]}
}}
'''
    result = _common.Case('spaces', case['key'], text, folder)
    shape = ','.join(map(str, case['alphas_shape']))
    draws = [f'noise.cells.{cell}._ops.{edge}.step0=noise:{case["N"]},{channels},{case["H"] // part},{case["W"] // part}'
             for cell, (channels, part) in enumerate(_supernet.CELLS) for edge in range(_supernet.EDGES) if case['space'] == 's4']
    result.make_feed(images(case, ['_valid']) + [f'{name}=unit:{shape}' for name in ('alphas_normal', 'alphas_reduce')] + draws)
    result.options = ['--steps', '0']
    result.rules = ['samples=64', '-grad_total_norm', '-eval_logits']
    return result


def let_statistics_settle(result):
    """From what one pass makes of the running statistics, what seven make."""
    result.trace('f64')
    found, weights = _safetensors.numbers(result.path('out.safetensors')), _safetensors.read(result.path('weights.safetensors'))
    begin, share = _safetensors.numbers(result.path('weights.safetensors')), (1 - 0.9**PASSES_BEFORE) / 0.1
    settled = {name: (weights[name][1], [a + share * (b - a) for a, b in zip(begin[name], found.get(f'after/{name}', begin[name]))]) for name in begin}
    _safetensors.write(result.path('weights.safetensors'), settled, dict.fromkeys(settled, 'F64'))
    result.rules = ['-logits', '-loss', '-grad', '-after/']


def network(case, folder):
    """The string is the text. With a training pass it is that of the other images."""
    result = _common.Case('spaces', case['key'], case['string'] + '\n', folder)
    result.sets = [f'{name}={case[name]}' for name in ('C', 'cells_per_stage', 'classes', 'H', 'W')]
    entries = images(case, ['_valid'])
    if case.get('pass') == 'training':
        result.make_feed([entry.replace('_valid=', '=').replace(':', f'@{entry.split("=")[0]}:', 1) for entry in entries])
        result.rules = ['samples=64', '-eval_logits', '-grad_total_norm', 'logits=train/logits', 'loss=train/loss', 'grad/=train/grad/', 'after/=train/after/']
    else:
        result.make_feed(images(case, [''])[:1])
        result.rules = ['eval_logits=eval/logits', '-logits', '-loss', '-grad', '-after/']
    return result


def build(case, folder):
    result = (network if 'string' in case else robust_darts if 'layers' in case else search)(case, folder)
    result.make_weights()
    if case.get('pass') == 'evaluation':
        let_statistics_settle(result)
    return result


def main(precision):
    _common.run_all('spaces', precision, build)

"""Networks of genotypes: evaluation, and of the small ones a training step with the auxiliary head."""
import _common
import sys

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

# Of noisy_darts_a with 5 layers: which cells reduce, and which operations are the identity, so that no path of theirs is
# dropped (skip_connect, in reduction cells only where it does not stand on an input of the cell).
REDUCTIONS = (1, 3)
IDENTITIES = {False: (2,), True: (2, 4, 5, 6)}


def dropped_paths(case):
    if not case['drop_path']:
        return []
    assert (case['genotype'], case['layers']) == ('noisy_darts_a', 5)
    return [f'cells.{cell}._ops.{op}' for cell in range(5) for op in range(8) if op not in IDENTITIES[cell in REDUCTIONS]]


def network_text(case):
    arguments = f'{case["genotype"]}, C={case["C"]}, layers={case["layers"]}, classes={case["classes"]}, auxiliary=0.4'
    kind = 'cifar' if case['network'] == 'NetworkCIFAR' else 'imagenet'
    return f'{kind}({arguments})'


def build(case, folder):
    text = f'''import "{case["genotype"]}.nd"
train {{
    network {network_text(case)}
    data synthetic(classes={case["classes"]}, H={case["H"]}, W={case["W"]})
    epochs 1  batch {case["N"]}
    weights sgd(lr=0.025, momentum=0.9, decay=3e-4, clip={case["clip"]})
    drop_path {case["drop_path"]}
}}
'''
    result = _common.Case('networks', case['key'], text, folder)
    result.make_weights()
    entries = [f'input=input:{case["N"]},3,{case["H"]},{case["W"]}']
    if not case['key'].endswith('/full'):
        entries.append(f'labels=label/{case["classes"]}:{case["N"]}')
    for stream in dropped_paths(case):
        entries.append(f'mask.{stream}=keep/{1 - case["drop_path"]}:{case["N"]}')
    result.make_feed(entries)
    result.options = ['--epoch', '1']
    return result


def main(precision):
    _common.run_all('networks', precision, build)

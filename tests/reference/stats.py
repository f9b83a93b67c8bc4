"""Every published genotype's parameters and multiply-adds: `ndartsc --emit=stats` against genotypes.json, exactly."""
import json
import os
import subprocess
import sys

build, source = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']


def stats(path, network):
    command = [f'{build}/bin/ndartsc', path, '--emit=stats', '--json', f'--network={network}']
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def check(name, network, expected):
    """The published conventions add batch norm at 2 and at 4 per element."""
    found = stats(f'{source}/genotypes/{name.lower()}.nd', network)
    macs = expected['conv_macs'] + expected['linear_macs']
    wanted = {key: expected[key] for key in ('parameters', 'parameters_with_auxiliary', 'conv_macs', 'linear_macs',
                                             'batch_norm_elements')}
    wanted['macs'] = macs
    wanted['macs_published_c_d_i_j'] = macs + 2 * expected['batch_norm_elements']
    wanted['macs_published_a_b_e_f_g_h'] = macs + 4 * expected['batch_norm_elements']
    wrong = {key: (found.get(key), value) for key, value in wanted.items() if found.get(key) != value}
    for key, (got, value) in wrong.items():
        print(f'{name} ({network}): {key} is {got}; expected {value}')
    return not wrong


def main():
    entries = json.load(open(f'{source}/tests/reference/genotypes.json'))
    checks = [check(e['name'], 'main', e['cifar']) for e in entries]
    checks += [check(e['name'], 'mobile', e['imagenet']) for e in entries if 'imagenet' in e]
    print(f'{sum(checks)} of {len(checks)} agree')
    return 0 if checks and all(checks) else 1


sys.exit(main())

"""Every published genotype's parameters and multiply-adds: `ndartsc --emit=stats` against genotypes.json, exactly."""
import json
import os
import subprocess
import sys

build, source = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']


def stats(path, network, options=()):
    command = [f'{build}/bin/ndartsc', path, '--emit=stats', '--json', f'--network={network}', *options]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def check(name, network, expected, file=None, options=()):
    """The published conventions add batch norm at 2 and at 4 per element."""
    found = stats(f'{source}/genotypes/{file or name.lower()}.nd', network, options)
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


def check_noisy_darts_A():
    """The ImageNet model, and its ten-class version for 64 x 64 images."""
    wanted = {(): (5547124, 445389312, 1280000, 7830592),
              ('H=64', 'W=64', 'classes=10'): (4278934, 36959232, 12800, 639232)}
    agree = True
    for sets, expected in wanted.items():
        options = [part for text in sets for part in ('--set', text)]
        found = stats(f'{source}/genotypes/noisy_darts_A_imagenet.nd', 'main', options)
        keys = ('parameters', 'conv_macs', 'linear_macs', 'batch_norm_elements')
        got = tuple(found[key] for key in keys)
        if got != expected:
            print(f'noisy_darts_A_imagenet {sets}: {got}; expected {expected}')
            agree = False
    return agree


def main():
    entries = json.load(open(f'{source}/tests/reference/genotypes.json'))
    checks = [check(e['name'], 'main', e['cifar']) for e in entries]
    checks += [check(e['name'], 'mobile', e['imagenet']) for e in entries if 'imagenet' in e]
    checks += [check(e['name'], 'main', e['imagenet'], 'imagenet', ('--set', f'genotype={e["name"]}')) for e in entries if 'imagenet' in e]
    checks.append(check_noisy_darts_A())
    print(f'{sum(checks)} of {len(checks)} agree')
    return 0 if checks and all(checks) else 1


sys.exit(main())

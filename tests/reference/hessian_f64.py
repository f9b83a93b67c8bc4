#!/usr/bin/env python3
"""The dominant eigenvalue of the alphas' Hessian and its product with a vector, f64, by differences of gradients.

With additive noise these are not quite what differentiating twice gives (0.3 % away): the deviation that the noise is in units of moves
between the gradients. What they are then is stored of one such case. `hessian_f64.py spectrum` holds all eigenvalues of two cases against
the stored ones too, which takes 392 gradients each and is not part of the suite."""
import json
import struct
import sys
import tempfile

import _common
import _supernet

SPECTRA = ['eigenvalues', 'largest_absolute', 'trace', 'norm']


def feed_entries(case):
    n, sides = case['N'], (case['H'], case['H'] // 2, case['H'] // 4)
    entries = [f'input_valid=input:{n},3,{case["H"]},{case["W"]}', f'labels_valid=label/{case["classes"]}:{n}', 'hessian_vector=unit:196']
    entries += [f'{name}=unit:{_supernet.EDGES},7' for name in ('alphas_normal', 'alphas_reduce')]
    for cell, side in enumerate(sides):
        for edge in range(_supernet.EDGES):
            stream = f'cells.{cell}._ops.{edge}.step0'
            if case['noise']:
                entries.append(f'noise.{stream}=noise:{n},{4 << cell},{side},{side}')
            if case['drop_path_on_skip']:
                entries.append(f'mask.{stream}=keep/{1 - case["drop_path_on_skip"]}:{n}')
    return entries


def is_relative(case):
    return case['noise'].get('mixture', 'multiplicative' if not case['noise'] else 'additive') == 'additive'


def build(case, folder, spectrum):
    text = f'''import "darts.nd"
search {{
    space darts   network cifar_search(C={case["C"]}, layers={case["layers"]})
    {_supernet.noise_text(case["noise"])}
    {_supernet.drop_text(case["drop_path_on_skip"])}
    data synthetic(H={case["H"]}, W={case["W"]})  batch {case["N"]}
}}
'''
    result = _common.Case('hessian', case['key'], text, folder)
    result.make_weights()
    result.make_feed(feed_entries(case))
    result.options = ['--spectrum' if spectrum else '--hessian']
    exact = spectrum and not is_relative(case)
    skipped = [] if exact else SPECTRA + (['dominant', 'vector_product'] if is_relative(case) else [])
    differences = 'hessian_of_differences/eigenvalues=hessian/eigenvalues' if spectrum else '-hessian_of_differences/'
    result.rules = [f'-hessian/{name}' for name in skipped] + [differences]
    return result


def read(path, name):
    """The numbers of a tensor of doubles; none when it is not there."""
    with open(path, 'rb') as file:
        size = struct.unpack('<Q', file.read(8))[0]
        header = json.loads(file.read(size)).get(name)
        if not header:
            return None
        begin, end = header['data_offsets']
        file.seek(8 + size + begin)
        return struct.unpack(f'<{(end - begin) // 8}d', file.read(end - begin))


def check_relative(case, found):
    """Of a case with additive noise: what differences say, or near what differentiating twice says."""
    reference, key = _common.reference('hessian'), case['key']
    differences = read(reference, f'{key}/hessian_of_differences/eigenvalues')
    expected = differences[-1] if differences else read(reference, f'{key}/hessian/dominant')[0]
    dominant = read(found, 'hessian/dominant')[0]
    error = abs(dominant / expected - 1)
    print(f'{key}: dominant eigenvalue {dominant:.9g}, relative error {error:.2g}')
    return error < (1e-5 if differences else 3e-3)


def main():
    spectrum = sys.argv[1:] == ['spectrum']
    right, chosen = True, [case for case in _common.cases('hessian') if not spectrum or case['key'] in ('hessian/darts', 'hessian/gaussian/drop0.0')]
    for description in chosen:
        with tempfile.TemporaryDirectory() as folder:
            try:
                case = build(description, folder, spectrum)
                case.trace('f64')
                print(case.compare('f64').rstrip())
                right &= not is_relative(description) or check_relative(description, case.path('out.safetensors'))
            except _common.Failed as failure:
                print(f'{description["key"]}: FAILED: {failure}')
                right = False
    return 0 if right and chosen else 1


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
"""Reference values of GDAS, of whose candidates only the chosen ones are computed and trained, f64."""
import _common
import _methods
import _spaces


def nas_bench_201(case, folder):
    result = _spaces.search(case, folder)
    with open(result.text) as file:
        text = file.read()
    with open(result.text, 'w') as file:
        file.write(text.replace('import', 'import "methods.nd"\nimport', 1).replace('space nas_bench_201', 'space nas_bench_201  method gdas_201(10, 10)', 1))
    gumbels = [f'gumbel.alphas_normal.step{step}=gumbel:6,5' for step in range(_methods.PASSES)]
    result.make_feed(_spaces.images(case) + ['alphas_normal=unit:6,5'] + gumbels)
    result.make_weights()
    result.rules += ['-probabilities', '-index', '-grad_hard_weights']
    return result


def build(case, folder):
    result = nas_bench_201(case, folder) if case['space'] == 'nas_bench_201' else _methods.build(case, folder)
    result.name = 'chosen'
    return result


if __name__ == '__main__':
    _common.run_all('chosen', 'f64', build)

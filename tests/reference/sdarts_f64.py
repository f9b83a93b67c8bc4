#!/usr/bin/env python3
"""Reference values of SDARTS, f64: three search steps in which only the pass of the weights differs from DARTS."""
import _common
import _methods
import _supernet

METHODS = {'random': 'sdarts_random', 'pgd_linf': 'sdarts_adversarial'}


def feed_entries(case):
    entries = _methods.feed_entries(case)
    for name in ('alphas_normal', 'alphas_reduce'):
        entries += [f'perturb.{name}.step{step}=uniform:{_supernet.EDGES},7' for step in range(2, 2 * case['steps'] + 1, 2)]
    return entries


def build(case, folder):
    weights, alphas = case['weights'], case['alphas']
    text = f'''import "methods.nd"
{_methods.SPACES}
search {{
    space {case["space"]}   network cifar_search(C={case["C"]}, layers={case["layers"]})
    method {METHODS[case["perturb"]]}(epsilon = {case["epsilon_max"]})
    data synthetic(H={case["H"]}, W={case["W"]})
    epochs {case["epochs"]}  batch {case["N"]}
    weights sgd(lr={weights["lr"]}, momentum={weights["momentum"]}, decay={weights["decay"]}, clip={weights["clip"]})
    alphas adam(lr={alphas["lr"]}, betas=({alphas["betas"][0]}, {alphas["betas"][1]}), decay={alphas["decay"]})
}}
'''
    result = _common.Case('sdarts', case['key'], text, folder)
    result.make_weights()
    result.make_feed(feed_entries(case))
    result.options = ['--steps', str(case['steps']), '--epoch', str(case['epoch'])]
    # A trace has no gradient of the alphas apart from what Adam made of it.
    result.rules = ['samples=64', '-search_update_total_norm'] + [f'-search{step}/grad/' for step in range(case['steps'])]
    return result


if __name__ == '__main__':
    _common.run_all('sdarts', 'f64', build)

#!/usr/bin/env python3
"""One reference case of every search method on the emulator, f64: the pass with all gradients, and of SDARTS, which changes the pass of the
weights alone, the first step of the search. The same texts and numbers as on the processor (tests/reference/methods_f64.py and so on)."""
import concurrent.futures
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ['NDARTS_SOURCE'], 'tests', 'reference'))
import _common  # noqa: E402
import _methods  # noqa: E402
import chosen_f64  # noqa: E402
import part_f64  # noqa: E402
import sdarts_f64  # noqa: E402

# File, key, how a case is built, steps of its search.
CASES = [
    ('methods', 'fair_darts/l2', _methods.build, 0),
    ('methods', 'darts_minus', _methods.build, 0),
    ('methods', 'beta_darts', _methods.build, 0),
    ('methods', 'snas/darts8', _methods.build, 0),
    ('methods', 'gumbel_hard_all/darts8', _methods.build, 0),
    ('part', 'pc_darts', part_f64.build, 0),
    ('chosen', 'gdas/nb201', chosen_f64.build, 0),
    ('sdarts', 'sdarts/random', sdarts_f64.build, 1),
]
AT_THE_END = ['-search_update', '-search_end', '-arch_first/', '-weights_first/']


def check(file, key, build, steps):
    case = next(case for case in _common.cases(file) if case['key'] == key)
    later = [f'-search{step}/' for step in range(steps, case.get('steps', 0))]
    with tempfile.TemporaryDirectory() as folder:
        traced = build(case, folder)
        traced.options[traced.options.index('--steps') + 1] = str(steps)
        traced.rules += later + AT_THE_END
        try:
            traced.trace('f64')
            return True, traced.compare('f64')
        except _common.Failed as failure:
            return False, f'{key}: FAILED: {failure}'


def main():
    wanted = [case for case in CASES if not sys.argv[1:] or any(word in case[1] for word in sys.argv[1:])]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda case: check(*case), wanted))
    for _, text in results:
        print(text.rstrip())
    wrong = [key for (_, key, _, _), (good, _) in zip(wanted, results) if not good]
    print(f'{len(wanted)} methods on the emulator, wrong: {", ".join(wrong) or "none"}')
    return 1 if wrong or not wanted else 0


if __name__ == '__main__':
    sys.exit(main())

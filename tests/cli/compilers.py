#!/usr/bin/env python3
"""What ndartsc prints does not depend on the C compiler that built it: C leaves the order of evaluating arguments open, and gcc and clang choose differently.
NDARTS_OTHER_BUILD names the build folder of another compiler; without it the test is skipped."""
import os
import subprocess
import sys

BUILD, SOURCE, OTHER = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE'], os.environ.get('NDARTS_OTHER_BUILD')
TEXTS = ('specs/fashion_quick.nd', 'tests/simt/network.nd', 'tests/simt/windows.nd')
FORMS = (('c',), ('c', '--vector=0'), ('cu',), ('cu', '--precision=bf16'), ('plan', '--target=cuda'))


def output(build, text, form, *options):
    done = subprocess.run([os.path.join(build, 'bin', 'ndartsc'), text, f'--emit={form}', *options], cwd=SOURCE, stdout=subprocess.PIPE,
                          check=True, timeout=300)
    return done.stdout.splitlines()


def first_difference(ours, theirs):
    for number, (left, right) in enumerate(zip(ours, theirs), 1):
        if left != right:
            return f'line {number}:\n  {left.decode()}\n  {right.decode()}'
    return None if len(ours) == len(theirs) else f'{len(ours)} and {len(theirs)} lines'


def main():
    if not OTHER:
        print('skipped: NDARTS_OTHER_BUILD names no second build')
        sys.exit(77)
    wrong = 0
    for text in TEXTS:
        for form in FORMS:
            difference = first_difference(output(BUILD, text, *form), output(OTHER, text, *form))
            if difference:
                wrong += 1
                print(f'{text} --emit={" ".join(form)} differs, {difference}')
    print(f'{len(TEXTS) * len(FORMS)} outputs compared, {wrong} differ')
    sys.exit(1 if wrong else 0)


main()

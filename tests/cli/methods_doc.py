#!/usr/bin/env python3
"""`ndartsc --list-methods`: every method of the library says what it is, has a row in docs/methods.md, with parameters and defaults as they
are, and docs/methods.md has no others. Of a text of one's own the list has the text's methods too."""
import os
import re
import sys

from _run import COMPILER, SOURCE, expect, main, run, write

MINE = '''import "methods.nd"
let unrelated = 3

# What is mine, e.g. a method of
# two lines | with a bar (et al., 2020). No more.
method mine(weight, list ?= [1, 2]) {
    keep threshold = 0.85  most = 2 per node
    penalty alphas = weight * mean(alphas)
    penalty alphas = mean(alphas)
}
method other { frozen_epochs 3 }

method silent { weights(alphas) = sigmoid(alphas) }
'''


def table(*arguments):
    """Name, parameters, clauses and description of each method."""
    stdout, _ = run(COMPILER, '--list-methods', *arguments)
    rows = [[cell.strip() for cell in re.split(r' (?<!\\)\| ', line[2:-2])] for line in stdout.splitlines()[2:]]
    found = {}
    for head, clauses, words in rows:
        name, _, parameters = head.strip('`').rstrip(')').partition('(')
        expect(name not in found, f'{name} twice')
        found[name] = (parameters, clauses, words)
    return found


def documented():
    """The methods in the first column of the table, each with its parameters."""
    with open(os.path.join(SOURCE, 'docs', 'methods.md'), encoding='utf-8') as file:
        rows = re.findall(r'^\| (`.*?) \| ', file.read().split('\n## ')[0], re.MULTILINE)
    heads = [head for row in rows for head in re.findall(r'`(\w+(?:\(.*?\))?)`', row)]
    return {head.partition('(')[0]: head.partition('(')[2].rstrip(')') for head in heads}


def test_document():
    methods, written = table(), documented()
    expect(len(methods) > 12 and {'gaussian_noise', 'beta_darts', 'pc_darts'} <= set(methods), sorted(methods))
    expect(set(methods) == set(written), f'not in docs/methods.md: {set(methods) - set(written)}; no methods: {set(written) - set(methods)}')
    for name, (parameters, clauses, words) in methods.items():
        expect(words and clauses, f'{name} says nothing: {clauses} {words}')
        for parameter in written[name].split(', '):
            known = parameter in parameters.split(', ') or parameter in re.findall(r'\w+', parameters) or parameter in ('', '...')
            expect(known, f'docs/methods.md has {name}({parameter}), not as in {parameters}')


def test_own():
    write('mine.nd', MINE)
    methods = table('mine.nd')
    expect(list(methods)[:3] == ['mine', 'other', 'silent'] and 'beta_darts' in methods, list(methods))
    says = 'What is mine, e.g. a method of two lines \\| with a bar (et al., 2020)'
    expect(methods['mine'] == ('weight, list ?= [1, 2]', '`keep`, `penalty`', says), methods['mine'])
    expect(methods['other'] == ('', '`frozen_epochs`', says) and methods['silent'] == ('', '`weights`', ''), methods)
    stdout, _ = run(COMPILER, '--list-methods', 'mine.nd', '-o', 'list.md')
    expect(stdout == '' and os.path.exists('list.md'), stdout)


def test_mistakes():
    write('wrong.nd', 'method a { nothing 3 }\n')
    run(COMPILER, '--list-methods', 'wrong.nd', code=1, says="wrong.nd:1:12: error: unknown clause 'nothing'")
    run(COMPILER, '--list-methods', 'missing.nd', code=1, says="'missing.nd'")
    run(COMPILER, '--list-methods', code=1, says='/nowhere', env=dict(os.environ, NDARTS_LIBRARY='/nowhere'))
    write('none.nd', '# nothing\nlet a = 3\n')
    expect(table('none.nd') == {}, 'methods of a text that has none')


if __name__ == '__main__':
    sys.exit(main([test_document, test_own, test_mistakes]))

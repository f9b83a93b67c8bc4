#!/usr/bin/env python3
"""A search of whose candidates only the chosen ones run (GDAS): the same checkpoint for any number of threads, and interrupted and
resumed; of the parameters of a step those that no choice fell on are as they were, states of the optimiser too."""
import math
import os

from _run import RUN, expect, expect_same, interrupt, lines_of, main, run, write
from _safetensors import floats

TEXT = '''import "methods.nd"
space few {
    candidates = [skip_connect, sep_conv_3x3, dil_conv_3x3]
    cell { inputs 2  nodes 2  output concat(nodes)  keep 2 per node }
}
search {
    space few   network cifar_search(C=2, layers=3)   method METHOD
    data synthetic(limit = 60, H = 8, W = 8) split 0.5
    epochs EPOCHS  batch 5  seed 5
}
'''


# The C compiler's optimisation would take longer than what is tested.
os.environ['NDARTS_CFLAGS'] = '-O0'
RESULTS = ('checkpoint.safetensors', 'genotype.nd')


def search(out, threads, epochs, *options, method='gdas'):
    write('text.nd', TEXT.replace('EPOCHS', str(epochs)).replace('METHOD', method))
    return (RUN, 'search', 'text.nd', '--out', out, '--threads', str(threads), *options)


def test_threads():
    for threads in (1, 3):
        run(*search(f'threads{threads}', threads, 2))
    expect_same('threads1', 'threads3', RESULTS)


def test_resumed():
    run(*search('whole', 2, 30))
    interrupt('epoch 2/', 0, *search('parts', 2, 30))
    run(*search('parts', 2, 30, '--resume'))
    expect_same('whole', 'parts', RESULTS)


def moved(out):
    """By edge the candidates whose weights have moved: momenta are zeros elsewhere."""
    edges = {}
    for name, (_, numbers) in floats(f'{out}/checkpoint.safetensors').items():
        parts = name.split('.')
        if name.startswith('momentum/cells.') and parts[4:5] == ['_ops']:
            edges.setdefault((parts[1], parts[3]), set()).update({parts[5]} if any(numbers) else set())
    expect(len(edges) == 15, f'edges: {edges}')
    return edges


def test_one_step():
    run(*search('step', 1, 1, '--set', 'limit=10'))
    edges = moved('step')
    expect(all(len(candidates) <= 1 for candidates in edges.values()), f'moved: {edges}')
    expect(set.union(*edges.values()) >= {'1', '2'}, f'moved: {edges}')


def test_largest_draw():
    """The last draw of the second step is 1 - 2^-24, the largest there is: what Gumbel's distribution makes of it is a number."""
    run(*search('largest', 1, 1, '--set', 'limit=10', '--seed', '65514'))
    expect(all(math.isfinite(x) for _, numbers in floats('largest/checkpoint.safetensors').values() for x in numbers), 'not a number')


def test_random_search():
    """The alphas do not move, and in twelve steps every candidate has had its turn."""
    run(*search('random', 1, 2, method='random_search(2)'))
    expect([line['alphas_updates'] for line in lines_of('random', 'metrics.jsonl')] == [0, 0], 'the alphas moved')
    edges = moved('random')
    expect(all(candidates >= {'1', '2'} for candidates in edges.values()), f'moved: {edges}')


if __name__ == '__main__':
    raise SystemExit(main([test_threads, test_resumed, test_one_step, test_largest_draw, test_random_search]))

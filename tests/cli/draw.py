#!/usr/bin/env python3
"""ndartsc --emit=svg: the cells of a genotype, an IR graph, a step graph; one document each; without Graphviz a message. What the
pictures are made of is in tests/golden/ndartsc/cells.test."""
import os
import re
import shutil
import sys
import xml.etree.ElementTree

from _run import COMPILER, SOURCE, expect, main, read, run, write

MINI = 'network main(classes ?= 3, H = 4, W = 4, channels = 2) on x { return x | relu | global_avg_pool | classifier: linear(classes) }\n'
# The second cell of an old genotype takes nothing from s0.
LOPSIDED = '''import "darts.nd"
genotype lopsided {
    normal { s2 = sep_conv_3x3(s1) + skip_connect(s1)  return concat(s2) }
    reduce { s2 = max_pool_3x3(s0) + skip_connect(s1)  return concat(s2) }
}
network main = cifar(lopsided, C = 4, layers = 3)
'''


def texts(path):
    root = xml.etree.ElementTree.fromstring(read(path))
    expect(root.tag.endswith('svg'), root.tag)
    return [''.join(element.itertext()).strip() for element in root.iter() if element.tag.endswith('}text')]


def test_cells():
    for name, operations in (('noisy_darts_a', {'max_pool_3x3', 'dil_conv_5x5', 'skip_connect', 'sep_conv_3x3'}), ('nasnet', {'sep_conv_7x7'})):
        run(COMPILER, os.path.join(SOURCE, 'genotypes', f'{name}.nd'), '-o', f'{name}.svg')
        found = texts(f'{name}.svg')
        expect(operations | {'normal cell', 'reduction cell', 's0: c_{k-2}', 's1: c_{k-1}'} <= set(found), found)
        expect(found.count('c_{k}') == 2, found)
        # An arrow has the colour of its operation.
        expect(len(set(re.findall(r'stroke="(#[0-9a-f]{6})"', read(f'{name}.svg').decode()))) > len(operations), name)
    write('lopsided.nd', LOPSIDED)
    run(COMPILER, 'lopsided.nd', '-o', 'lopsided.svg')
    expect(texts('lopsided.svg').count('s0: c_{k-2}') == 2, texts('lopsided.svg'))


def test_graphs():
    write('mini.nd', MINI)
    run(COMPILER, 'mini.nd', '-o', 'mini.svg')
    expect('%1 relu' in texts('mini.svg') and 'logits' in texts('mini.svg'), texts('mini.svg'))
    run(COMPILER, 'lopsided.nd', '-o', 'lopsided.ir')
    run(COMPILER, 'lopsided.ir', '-o', 'graph.svg')
    expect('cells.0._ops.0' in ' '.join(texts('graph.svg')), texts('graph.svg'))
    run(COMPILER, 'mini.nd', '--graph=infer', '-o', 'infer.svg')
    expect(any('matmul' in text for text in texts('infer.svg')), texts('infer.svg'))
    run(COMPILER, 'mini.nd', '--graph=infer,eval', '-o', 'two.svg', code=1, says='a picture is of one graph')


def test_without_graphviz():
    os.makedirs('bin', exist_ok=True)
    os.symlink('/bin/sh', 'bin/sh')
    run(COMPILER, 'mini.nd', '-o', 'no.svg', code=2, says="Graphviz's dot is not installed", env={**os.environ, 'PATH': os.path.abspath('bin')})
    run(COMPILER, 'mini.nd', '-o', 'mini.dot', env={**os.environ, 'PATH': os.path.abspath('bin')})
    expect(not os.path.exists('no.svg') and read('mini.dot').startswith(b'digraph'), os.listdir('.'))


if __name__ == '__main__':
    if not shutil.which('dot'):
        print('no Graphviz here')
        sys.exit(77)
    sys.exit(main([test_cells, test_graphs, test_without_graphviz]))

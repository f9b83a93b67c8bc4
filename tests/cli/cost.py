#!/usr/bin/env python3
"""ndarts-run cost: every operation of a network and every candidate of a supernet once, counted as they are used; what adds up, and what is kept."""
import glob
import json
import os
import sys

from _run import RUN, expect, main, run, write

NET = '''import "noisy_darts_a.nd"
network net = cifar(noisy_darts_a, C=2, layers=3)
'''
SEARCH = '''import "darts.nd"
space few {
    candidates = [skip_connect, dil_conv_3x3]
    cell { inputs 2  nodes 2  output concat(nodes)  keep 2 per node }
}
search {
    space few  network cifar_search(C=2, layers=3)
    data synthetic(limit=8, H=8, W=8, classes=4)
    epochs 1  batch 4
}
'''


def cost(*arguments):
    return json.loads(run(RUN, 'cost', *arguments, '--json', '--repeat=2')[0])


def stats(text):
    return json.loads(run(RUN.replace('ndarts-run', 'ndartsc'), text, '--emit=stats', '--json')[0])


def test_network():
    write('net.nd', NET)
    table = cost('net.nd')
    items = {item['name']: item for item in table['items']}
    expect(len(items) == len(table['items']), 'an operation twice')
    expect(sum(item['calls'] for item in table['items']) == 3 * (8 + 2) and all(item['edges'] == 0 for item in table['items']), table)
    # What is not in operations is the stem's convolution and the classifier.
    outside = 32 * 32 * 6 * 27 + 32 * 10
    total = sum(item['calls'] * item['multiply_adds'] for item in table['items'])
    expect(total + outside == stats('net.nd')['conv_macs'] + stats('net.nd')['linear_macs'], (total, stats('net.nd')))
    expect(abs(table['rest_ms'] + sum(item['calls'] * item['ms'] for item in table['items']) - table['sum_ms']) < 1e-9, table)
    expect(table['whole_ms'] > 0 and table['batch'] == 1, table)
    expect(cost('net.nd') == table, 'measured again')
    text = run(RUN, 'cost', 'net.nd', '--repeat=2')[0]
    expect(len(text.splitlines()) == 2 + len(items) + 3 and 'the whole, measured' in text, text)


def test_supernet():
    write('search.nd', SEARCH)
    table = cost('search.nd')
    candidates = [item for item in table['items'] if item['edges']]
    expect(sum(item['edges'] for item in candidates) == 3 * 5 * 2 and table['whole_ms'] is None, table)
    expect({item['name'].rsplit('_', 2)[0] for item in candidates} == {'dil_conv_3x3', 'skip_connect'}, candidates)
    for item in candidates:
        stride = 2 if item['name'].split('_after')[0].endswith('_2') else 1
        expect(item['input'][0] == stride * item['output'][0], item)


def test_tiles():
    """What was measured with other tiles is another measurement."""
    kept = lambda: set(glob.glob(os.path.join(os.environ['XDG_CACHE_HOME'], 'ndarts', '*.cost')))
    before = kept()
    write('tiles.json', json.dumps({'version': 1, 'tiles': {'dense f32x8 1>1 1x1 stride 1 dilation 1 width 1': [3, 1]}}))
    cost('search.nd', '--tune', 'tiles.json')
    expect(len(kept()) > len(before), 'nothing was measured')


def test_other_code():
    """What was measured of other code is another measurement."""
    kept = lambda: set(glob.glob(os.path.join(os.environ['XDG_CACHE_HOME'], 'ndarts', '*.cost')))
    before = kept()
    run(RUN, 'cost', 'search.nd', '--json', '--repeat=2', env={**os.environ, 'NDARTS_CFLAGS': '-O1'})
    expect(len(kept()) > len(before), 'nothing was measured')


def test_cache_is_lost():
    for path in glob.glob(os.path.join(os.environ['XDG_CACHE_HOME'], 'ndarts', '*.cost')):
        with open(path, 'w') as file:
            file.write('nonsense')
    expect(cost('net.nd')['whole_ms'] > 0, 'a damaged measurement')


def test_card():
    """An estimate for a GPU: nothing is compiled, and what has more memory bandwidth and arithmetic is faster."""
    write('net.nd', NET)
    write('search.nd', SEARCH)
    kept = lambda: set(glob.glob(os.path.join(os.environ['XDG_CACHE_HOME'], 'ndarts', '*')))
    before = kept()
    tables = {card: cost('net.nd', '--card', card, '--batch=256') for card in ('h100', 'h200', 't4')}
    expect(tables['h100']['device'] == 'h100, estimated' and tables['h100']['whole_ms'] > 0, tables['h100'])
    expect(tables['h200']['sum_ms'] < tables['h100']['sum_ms'] < tables['t4']['sum_ms'], tables)
    expect(tables['t4']['items'][0]['bytes'] > 0, tables['t4'])
    smaller, t4 = cost('net.nd', '--card', 't4', '--batch=1'), tables['t4']
    expect(all(few['ms'] <= many['ms'] for few, many in zip(smaller['items'], t4['items'])), (smaller, t4))
    expect(kept() == before, 'the cache has grown')
    said = run(RUN, 'cost', 'net.nd', '--card=l4')[0]
    expect('l4, estimated' in said and 'measured' not in said, said)
    with open('l4.json', 'w') as file:
        json.dump(cost('search.nd', '--card=l4'), file)
    write('target.nd', SEARCH.replace('batch 4', 'batch 4  objective latency(target = 0.1)'))
    run(RUN, 'search', 'target.nd', '--cost', 'l4.json', '--out', 'target', '--threads=1', says='latency')


def test_mistakes():
    run(RUN, 'cost', 'net.nd', '--card=h101', code=1, says="did you mean 'h100'?")
    run(RUN, 'cost', code=1, says='cost needs a text')
    run(RUN, 'cost', 'net.so', code=1, says='compiled in one piece')
    run(RUN, 'cost', 'missing.nd', code=1, says='missing.nd')
    write('wrong.nd', 'network net = cifar(no_such, C=2)\n')
    run(RUN, 'cost', 'wrong.nd', code=1, says='wrong.nd:1:')


if __name__ == '__main__':
    os.environ['XDG_CACHE_HOME'] = os.path.join(os.environ['XDG_CACHE_HOME'], 'cost')
    for old in glob.glob(os.path.join(os.environ['XDG_CACHE_HOME'], 'ndarts', '*.cost')):
        os.remove(old)  # of an earlier run of these tests
    sys.exit(main([test_network, test_supernet, test_tiles, test_cache_is_lost, test_card, test_mistakes]))

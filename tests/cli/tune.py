#!/usr/bin/env python3
"""ndarts-run tune writes a table of tiles, and the table decides the source but never the results."""
import json
import os
import re
import sys

from _run import COMPILER, RUN, expect, expect_same, main, read, run, write

TRAIN = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=4, layers=3)
    data synthetic(limit=64, H=16, W=16, classes=4)
    epochs 1  batch 8  seed 5
    weights sgd(lr=cosine(0.1, 0), momentum=0.9, decay=3e-4, clip=5)
}
'''
RESULTS = ('metrics.jsonl', 'weights.safetensors')


def source(*options):
    return run(COMPILER, 'train.nd', '--graph=train', '--emit=c', *options)[0]


def table(tiles, path='made.json'):
    write(path, json.dumps({'version': 1, 'tiles': tiles}))


def test_tune():
    """Every tile is tried against the compiler's own; one that changes a bit would end the program."""
    os.environ['XDG_CONFIG_HOME'] = os.path.abspath('config')
    write('train.nd', TRAIN)
    said = run(RUN, 'tune', 'train.nd', '--graph=infer')
    counted = re.match(r'(\d+) loops, (\d+) tiles to try', said[1])
    expect(counted and int(counted.group(2)) > 3 * int(counted.group(1)) > 15, said[1])
    expect('config/ndarts/tune.json' in said[1], said[1])
    tiles = json.loads(read('config/ndarts/tune.json'))
    expect(tiles['version'] == 1 and len(tiles['tiles']) == len(said[0].splitlines()), f'{tiles}\n{said[0]}')
    for key in tiles['tiles']:
        expect(re.match(r'(depthwise|dense)( gradient)? f32x\d+ \d+>\d+ \d+x\d+ stride \d+ dilation \d+ width \d+$', key), key)
    # What others wrote there stays; what was measured again is replaced.
    table({'dense f32x16 1>1 1x1 stride 1 dilation 1 width 1': [3, 1]})
    run(RUN, 'tune', 'train.nd', '--graph=infer', '--batch=2', '--tune', 'made.json')
    expect(json.loads(read('made.json'))['tiles']['dense f32x16 1>1 1x1 stride 1 dilation 1 width 1'] == [3, 1], 'a foreign tile')
    run(RUN, 'tune', 'train.nd', '--graph=infer', '--precision=f64', '--vector=32', '--tune', 'new/f64.json')
    expect(all(' f64x4 ' in key for key in json.loads(read('new/f64.json'))['tiles']), 'lanes')
    run(RUN, 'tune', 'train.nd', '--graph=infer', '--vector=0', '--tune', 'scalar.json', says='0 loops')


def test_table_decides_source():
    os.environ['XDG_CONFIG_HOME'] = os.path.abspath('empty')
    plain = source()
    table({})
    expect(source('--tune=made.json') == plain, 'an empty table')
    tiles = {f'depthwise f32x16 4>4 {k}x{k} stride {s} dilation {d} width {w}': [3, 0]
             for k in (3, 5) for s in (1, 2) for d in (1, 2) for w in (8, 16)}
    tiles.update({f'dense f32x16 {i}>{o} 1x1 stride 1 dilation 1 width {w}': [5, 1] for i in (4, 8, 12, 16) for o in (4, 8) for w in (64, 256)})
    tiles.update({f'depthwise gradient f32x16 4>4 {k}x{k} stride 1 dilation {d} width 16': [3, 2] for k in (3, 5) for d in (1, 2)})
    tiles.update({f'dense gradient f32x16 {i}>{o} 1x1 stride 1 dilation 1 width {w}': [3, 1] for i in (4, 8, 12, 16) for o in (4, 8) for w in (64, 256)})
    tiles = {key.replace('x16', f'x{n}', 1): tile for key, tile in tiles.items() for n in (4, 8, 16)}
    table(tiles)
    tuned = source('--tune=made.json')
    expect(tuned != plain, 'the table changed nothing')
    os.makedirs('config2/ndarts', exist_ok=True)
    table(tiles, 'config2/ndarts/tune.json')
    os.environ['XDG_CONFIG_HOME'] = os.path.abspath('config2')
    expect(source() == tuned, "the user's own table")
    os.environ['XDG_CONFIG_HOME'] = os.path.abspath('empty')
    for name, options in (('plain', []), ('tuned', ['--tune=made.json'])):
        run(RUN, 'train', 'train.nd', '--out', name, '--threads=1', *options)
    expect_same('plain', 'tuned', RESULTS)
    modules = [re.search(r'source (\w+)', json.dumps(json.loads(read(name, 'run.json')))) for name in ('plain', 'tuned')]
    expect(all(modules) and modules[0].group(1) != modules[1].group(1), 'the module is the same')


def test_unreadable():
    """The user's own table ends nothing when it cannot be read; one that is asked for does."""
    os.makedirs('config3/ndarts/tune.json')
    environment = {**os.environ, 'XDG_CONFIG_HOME': os.path.abspath('config3')}
    _, said = run(RUN, 'train', 'train.nd', '--out', 'without', '--threads=1', env=environment, says='tiles are those that are compiled in')
    expect(said.count('warning: ') == 1 and 'config3/ndarts/tune.json' in said, said)
    run(RUN, 'train', 'train.nd', '--out', 'wrong', '--tune=config3/ndarts/tune.json', code=1, says='config3/ndarts/tune.json')


def test_mistakes():
    os.environ['XDG_CONFIG_HOME'] = os.path.abspath('empty')
    write('train.nd', TRAIN)
    for text, says in (('{', 'wrong.json:1'), ('{"version": 2, "tiles": {}}', 'no table of tiles'), ('{"version": 1}', 'no table of tiles'),
                       ('{"version": 1, "tiles": {"a": [1]}}', "the tile of 'a'"), ('{"version": 1, "tiles": {"a": [1, 2.5]}}', "the tile of 'a'"),
                       ('{"version": 1, "tiles": {"a": [-1, 2]}}', "the tile of 'a'"), ('{"version": 1, "tiles": {"a": [1, 99]}}', "the tile of 'a'")):
        write('wrong.json', text)
        run(COMPILER, 'train.nd', '--graph=infer', '--emit=plan', '--tune=wrong.json', code=1, says=says)
        run(RUN, 'train', 'train.nd', '--tune=wrong.json', '--out', 'wrong', code=1, says=says)
        run(RUN, 'tune', 'train.nd', '--tune=wrong.json', code=1, says=says)
    run(COMPILER, 'train.nd', '--graph=infer', '--emit=plan', '--tune=none.json', code=1, says='none.json')
    run(RUN, 'tune', code=1, says='tune needs a text')
    run(RUN, 'tune', 'train.nd', '--graph=inference', code=1, says="unknown graph 'inference'")


if __name__ == '__main__':
    sys.exit(main([test_tune, test_table_decides_source, test_unreadable, test_mistakes]))

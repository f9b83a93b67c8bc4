#!/usr/bin/env python3
"""ndarts-run lookup: what a table says about a string of NAS-Bench-201, a text, and every epoch of a search; as JSON; in the report as
curves. The genotype of any epoch is a text that trains. What is no table, no architecture or of another space is said."""
import gzip
import json
import os
import shutil
import sys

from _run import RUN, SOURCE, expect, lines_of, main, read, run, write

TABLE = os.path.join(SOURCE, 'tests', 'cli', 'bench_table.csv')
BEST = '|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|'
SEARCH = '''import "nas_bench_201.nd"
search {
    space nas_bench_201   network nas_bench_201_search(C = 2, cells_per_stage = 1)
    data synthetic(limit = 64, H = 8, W = 8, classes = 4)
    epochs 3  batch 8  seed 5
    weights sgd(lr = 0.05, momentum = 0.9, decay = 3e-4, clip = 5)
    alphas adam(lr = 0.5, betas = (0.5, 0.999), decay = 1e-3)
}
'''


def lookup(*arguments, table=TABLE, **options):
    return run(RUN, 'lookup', *arguments, '--table', table, **options)


def test_architecture():
    said = f'''{BEST}
data set        accuracy  rank of 5
cifar10          94.37 %          1
cifar100         73.22 %          2
imagenet16-120   46.71 %          1
'''
    expect(lookup(BEST) == (said, ''), lookup(BEST))
    with gzip.open('table.csv.gz', 'wb') as file:
        file.write(read(TABLE))
    expect(lookup(BEST, table='table.csv.gz')[0] == said, 'packed')
    write('found.txt', f'genotype: {BEST}\n')
    expect(lookup('found.txt')[0] == said, 'a log')
    expect(lookup(os.path.join(SOURCE, 'genotypes', 'nas_bench_201.nd'))[0].split('\n')[3] == 'cifar100         73.51 %          1', 'a text')
    wanted = {'architecture': BEST, 'of': 5, 'sets': {'cifar10': {'accuracy': 94.373, 'rank': 1}, 'cifar100': {'accuracy': 73.22, 'rank': 2},
                                                      'imagenet16-120': {'accuracy': 46.711, 'rank': 1}}}
    expect(json.loads(lookup(BEST, '--json')[0]) == wanted, lookup(BEST, '--json')[0])
    # What a table calls its architectures is its matter; a folder of that name is not looked at.
    write('own.csv', 'architecture,mine\ncell 7,12.5\nbuild,3\n')
    os.mkdir('build')
    for name, accuracy in (('cell 7', '12.50'), ('build', '3.00')):
        expect(f' {accuracy} %' in lookup(name, table='own.csv')[0], name)


def test_mistakes():
    run(RUN, 'lookup', BEST, code=1, says='lookup needs an architecture or the folder of a search, and --table FILE.csv')
    run(RUN, 'lookup', '--table', TABLE, code=1, says='lookup needs an architecture')
    lookup('|none~0|', code=1, says=f"the architecture '|none~0|' is not in '{TABLE}', which has 5, such as |none~0|+|none~0|none~1|+")
    lookup(BEST, table='missing.csv', code=1, says="'missing.csv'")
    lookup(BEST, table='.', code=1, says='.: a folder, not a table of architectures (CSV, also .gz)')
    lookup(BEST, table=RUN, code=1, says='not a table of architectures (CSV, also .gz)')
    lookup(BEST, table='/dev/zero', code=1, says='more than 67108864 bytes')
    lookup(os.path.join(SOURCE, 'genotypes', 'darts_v2.nd'), code=1, says='strings of NAS-Bench-201 are of one cell')
    write('empty.nd', 'let a = 3\n')
    lookup('empty.nd', code=1, says='empty.nd: 1 mistake')
    os.mkdir('nothing')
    lookup('nothing', code=1, says="'nothing' has no genotypes.jsonl")
    with gzip.open('bomb.csv.gz', 'wb', compresslevel=1) as file:
        for _ in range(80):
            file.write(b'\n' * (1 << 20))
    lookup(BEST, table='bomb.csv.gz', code=1, says='bomb.csv.gz: more than 67108864 bytes are packed in it')
    for number, lines in enumerate((b'', b'{"epoch": 0}\n', b'{"epoch": "x", "string": "y"}\n', b'[]\n\xff\x00{\n', b'{"epoch": 0, "string": {}}\n')):
        os.mkdir(f'bad{number}')
        with open(f'bad{number}/genotypes.jsonl', 'wb') as file:
            file.write(lines)
        lookup(f'bad{number}', code=1, says=f'bad{number}/genotypes.jsonl')
    lookup('bad1', code=1, says='the genotype of epoch 0 has no string: its space is another than that of')


def prepare():
    write('search.nd', SEARCH)
    run(RUN, 'search', 'search.nd', '--out', 'found')


def table_of(strings):
    """A table that has these, the first one best, among others."""
    return 'architecture,a,bb\n' + ''.join(f'{s},{90 - 10 * i},{50 + i}\n' for i, s in enumerate(strings)) + 'other,95.125,10\nlast,1,99\n'


def test_search():
    lines = lines_of('found', 'genotypes.jsonl')
    strings = list(dict.fromkeys(line['string'] for line in lines))
    expect(len(lines) == 3 and len(strings) >= 2, f'{lines}: no epochs that differ')
    write('all.csv', table_of(strings))
    head, *rows = lookup('found/', table='all.csv')[0].splitlines()
    expect(head == f'epoch         a   rank        bb   rank  architecture (of {len(strings) + 2})', head)
    found = [json.loads(line) for line in lookup('found', '--json', table='all.csv')[0].splitlines()]
    for line, row, record in zip(lines, rows, found, strict=True):
        i = strings.index(line['string'])
        expect(row.split() == [str(line['epoch']), f'{90 - 10 * i}.00', '%', str(2 + i), f'{50 + i}.00', '%', str(len(strings) - i + 1), line['string']], row)
        sets = {'a': {'accuracy': 90 - 10 * i, 'rank': 2 + i}, 'bb': {'accuracy': 50 + i, 'rank': len(strings) - i + 1}}
        expect(record == {'epoch': line['epoch'], 'architecture': line['string'], 'of': len(strings) + 2, 'sets': sets}, record)
    shutil.copytree('found', 'ended')
    metrics = read('ended', 'metrics.jsonl').decode().splitlines()
    write('ended/metrics.jsonl', '\n'.join(metrics[:-1] + [json.dumps(json.loads(metrics[-1]) | {'genotype_of': 1})]) + '\n')
    expect(lookup('ended', table='all.csv')[0].splitlines()[-1] == 'the search ended early with the genotype of epoch 1', 'the end')
    write('some.csv', table_of(strings[:1]))
    stdout, stderr = lookup('found', table='some.csv')
    missing = sum(line['string'] != strings[0] for line in lines)
    expect(stderr == f"warning: {missing} of 3 genotypes are not in 'some.csv'\n", stderr)
    expect(stdout.count('(not in the table)') == missing, stdout)
    expect(lookup('found', '--json', table='some.csv')[0].count('"sets": null') == missing, 'null')
    write('none.csv', table_of([]))
    lookup('found', table='none.csv', code=1, says="none of the genotypes in found/genotypes.jsonl is in 'none.csv'")


def test_epochs_as_texts():
    """A string of an epoch, the text of it, its string again; and both train."""
    for line in lines_of('found', 'genotypes.jsonl'):
        name = f'epoch{line["epoch"]}'
        run(RUN, 'derive', 'found', '--epoch', str(line['epoch']), '-o', f'{name}.nd')
        expect(run(RUN, 'genotype', f'{name}.nd', '--format', 'nb201')[0] == line['string'] + '\n', name)
        write(f'{name}.txt', line['string'])
        cells = [run(RUN, 'genotype', f'{name}.{suffix}', '--as', 'same')[0].split('network main')[0] for suffix in ('nd', 'txt')]
        expect(cells[0].split('{', 1)[1] == cells[1].split('{', 1)[1], f'{cells}')
    write('short.nd', 'import "nas_bench_201.nd"\ntrain { network nas_bench_201_network(genotype, C = 2, cells_per_stage = 1)  epochs 1  batch 16'
          '  data synthetic(limit = 32, H = 8, W = 8, classes = 4)  weights sgd(lr = 0.1) }\n')
    for text in ('epoch1.nd', 'epoch1.txt'):
        run(RUN, 'train', text, '--recipe', 'short.nd', '--out', text + '.out')
    expect(read('epoch1.nd.out', 'metrics.jsonl') == read('epoch1.txt.out', 'metrics.jsonl'), 'trained differently')


def page_of(*arguments):
    _, stderr = run(RUN, 'report', *arguments, '-o', 'page.html')
    return read('page.html').decode(), stderr


def test_report():
    picture = 'alt="accuracy of the genotype by the table"' if shutil.which('gnuplot') else 'No picture of the accuracy of the genotype'
    page, stderr = page_of('found', '--table', 'all.csv')
    expect(stderr == '' and page.count(picture) == 1 and 'best of the ' in page and '95.12 %' in page, page)
    expect('of the reduction cell' not in page, 'a cell that the space does not have')
    expect('found, epoch 3' in page and f"<p>Found: <code>{lines_of('found', 'genotypes.jsonl')[2]['string']}" in page, 'what was found')
    page, _ = page_of('ended', '--table', 'all.csv')
    expect('found, epoch 2' in page and f"<p>Found: <code>{lines_of('found', 'genotypes.jsonl')[1]['string']}" in page, 'what was found early')
    expect(picture not in page_of('found')[0], 'without a table')
    expect('not in the table' in page_of('found', '--table', 'some.csv')[0], 'gaps')
    shutil.copytree('found', 'again')
    page, _ = page_of('found', 'again', '--table', 'all.csv')
    expect(page.count(picture) == 3, 'no comparison')
    # A training beside it is none to look up; a search of another space is left out, and it is said.
    page, stderr = page_of('found', 'epoch1.nd.out', '--table', 'all.csv')
    expect(stderr == '' and page.count(picture) == 1, stderr)
    write('again/genotypes.jsonl', '{"epoch": 0, "cells": {}}\n')
    page, stderr = page_of('found', 'again', '--table', 'all.csv')
    expect('the report goes without it' in stderr and 'has no string' in page and page.count(picture) == 1, stderr)
    os.remove('page.html')
    run(RUN, 'report', 'found', '--table', 'search.nd', '-o', 'page.html', code=1, says='search.nd:1: the first column')
    expect(not os.path.exists('page.html'), 'a page without the table')


if __name__ == '__main__':
    sys.exit(main([test_architecture, test_mistakes, prepare, test_search, test_epochs_as_texts, test_report]))

#!/usr/bin/env python3
"""ndarts-run report: a page about a search, a training and several seeds; it is well-formed, needs nothing from outside, and every
picture in it can be read. Without gnuplot and Graphviz the page says what is missing."""
import html.parser
import json
import os
import re
import shutil
import sys
import urllib.parse
import xml.etree.ElementTree

from _run import COMPILER, RUN, expect, main, read, run, write

SEARCH = '''import "darts.nd"
search {
    space darts   network cifar_search(C=2, layers=3)
    data synthetic(limit=64, H=8, W=8, classes=4)
    epochs 2  batch 8  seed 5
    weights sgd(lr=0.05, momentum=0.9, decay=3e-4, clip=5)
    alphas adam(lr=1e-2, betas=(0.5, 0.999), decay=1e-3)
}
'''
TRAIN = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=2, layers=3)
    data synthetic(limit=64, H=8, W=8, classes=4)
    epochs 2  batch 8
    weights sgd(lr=cosine(0.1, 0), momentum=0.9, decay=3e-4, clip=5)
}
'''
VOID = ('meta', 'link', 'img', 'br')


class Page(html.parser.HTMLParser):
    """Checks that elements nest, and collects pictures and addresses."""

    def __init__(self, text):
        super().__init__()
        self.open, self.pictures, self.addresses, self.text = [], [], [], ''
        self.feed(text)
        self.close()
        expect(not self.open, f'not closed: {self.open}')

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ('src', 'href', 'srcset', 'action', 'data', 'poster'):
                self.addresses.append(value)
        if tag == 'img':
            self.pictures.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        expect(self.open and self.open[-1] == tag, f'</{tag}> closes {self.open[-1:]}')
        self.open.pop()

    def handle_data(self, data):
        self.text += data


def check_page(path):
    text = read(path).decode()
    page = Page(text)
    expect(all(address.startswith('data:') for address in page.addresses), 'something comes from outside')
    expect('http://' not in text and 'https://' not in text and 'url(' not in text and '@import' not in text, 'an external URL')
    expect('<script' not in text, 'a script')
    expect('prefers-color-scheme: dark' in text, 'no dark colours')
    for picture in page.pictures:
        svg = urllib.parse.unquote(picture['src'].split(',', 1)[1])
        root = xml.etree.ElementTree.fromstring(svg)
        expect(root.tag.endswith('svg') and picture['alt'], picture['alt'])
        expect(not re.search(r'(href|src)=["\'](?!#)', svg), f'{picture["alt"]} refers to something outside')
    return page


def prepare():
    write('search.nd', SEARCH)
    write('train & <b>.nd', TRAIN)
    run(RUN, 'search', 'search.nd', '--out', 'found')
    run(RUN, 'train', 'train & <b>.nd', '--out', 'trained')
    run(RUN, 'train', 'train & <b>.nd', '--out', 'seeds', '--seeds', '0..1', '--set', 'train.hold_out=0.5')


def test_search():
    stdout, _ = run(RUN, 'report', 'found')
    expect(stdout == 'found/report.html\n', stdout)
    page = check_page('found/report.html')
    alts = [picture['alt'] for picture in page.pictures]
    wanted = []
    if shutil.which('gnuplot'):
        wanted += ['loss, accuracy, rate, gradient, speed', 'number of skip connections', 'alphas of the normal cell',
                   'alphas of the reduction cell']
    if shutil.which('dot'):
        wanted += ['normal cell', 'reduction cell']
    expect(sorted(alts) == sorted(wanted), alts)
    if shutil.which('gnuplot'):
        edges = urllib.parse.unquote(page.pictures[alts.index('alphas of the normal cell')]['src'])
        expect(len(set(re.findall(r'rgb\([ \d,]*\)', edges))) > 7, 'every candidate has its colour')
    for part in ('weights.lr', 'processor', 'multiply-adds', 'max_pool_3x3, avg_pool_3x3', 'every candidate on every edge'):
        expect(part in page.text, f'no {part}')
    # Three cells of 14 edges, and what all of it costs as ndartsc counts it.
    # An edge of sep_conv_5x5 has twice 25 C weights and C x C, used at every pixel: 8 x 8 of 2 channels, 4 x 4 of 4, 2 x 2 of 8.
    weights = [28 * (25 * c + c * c) for c in (2, 4, 8)]
    macs = sum(count * pixels for count, pixels in zip(weights, (64, 16, 4)))
    expect(f'sep_conv_5x542{sum(weights):,}{macs:,}' in page.text and 'max_pool_3x34200' in page.text, page.text)
    check_total(page, 'search.nd')


def check_total(page, text):
    stdout, _ = run(COMPILER, text, '--emit=stats', '--json')
    stats = json.loads(stdout)
    expect(f'all{stats["parameters"]:,}{stats["macs"]:,}100.0 %' in page.text, f'{stats} {page.text}')


def test_training():
    run(RUN, 'report', 'trained', '-o', 'page.html')
    page = check_page('page.html')
    alts = [picture['alt'] for picture in page.pictures]
    expect(not shutil.which('dot') or alts[-2:] == ['normal cell', 'reduction cell'], alts)
    expect('train & <b>.nd' in page.text and 'test images' in page.text, page.text)
    expect('sep_conv_3x3' in page.text and 'Cost of the operations, for one image' in page.text, page.text)
    check_total(page, 'train & <b>.nd')


def result_with(classes, names):
    """Image n of class c is taken for class (c * n) % classes: a matrix that is none of chance."""
    matrix = [[sum((c * n) % classes == k for n in range(5)) for k in range(classes)] for c in range(classes)]
    rows = [{'images': 5, 'correct': row[c], 'accuracy': row[c] / 5} for c, row in enumerate(matrix)]
    for row, name in zip(rows, names):
        row['name'] = name
    return {'data': 'test', 'last': {'accuracy': 0, 'classes': rows, 'confusion': matrix}}


def test_classes():
    """Of few classes a table, of more a picture and the worst, of very many the worst; names are text; what is damaged is left out."""
    run(RUN, 'report', 'trained', '-o', 'few.html')
    expect(check_page('few.html').text.count('What the classes are taken for: test images, after the last epoch') == 1, 'four classes')
    run(RUN, 'report', 'seeds/seed-0', '-o', 'few.html')
    expect('test images, weights of the best epoch; balanced accuracy' in check_page('few.html').text, 'of the hold-out')
    for classes, table, pictures in ((2, True, 0), (20, True, 0), (21, False, 1), (300, False, 1), (301, False, 0), (1100, False, 0)):
        shutil.copytree('trained', f'of{classes}')
        names = ['<b onclick=x>', '&amp;"\'', '`id`\n', '\u00e9t\u00e9'] + [f'n{i}' for i in range(4, classes)]
        result = result_with(classes, names[:classes])
        if classes > 1024:
            result['last']['confusion'] = None
        write(f'of{classes}/result.json', json.dumps(result))
        run(RUN, 'report', f'of{classes}')
        page = check_page(f'of{classes}/report.html')
        found = [picture['alt'] for picture in page.pictures].count('confusion matrix')
        expect(found == pictures, f'{classes}: {found} pictures')
        expect((f'the 10 worst of {classes} classes' in page.text) != table, f'{classes}: the worst')
        expect(('<b onclick=x>' in page.text) == table or not table, f'{classes}: names')
    for damage in ({'classes': 3}, {'classes': []}, {'confusion': [[1]]}, {'confusion': [[-1] * 4] * 4}, {'classes': [None] * 4}):
        write('of2/result.json', json.dumps({'last': {**result_with(4, [])['last'], **damage}}))
        run(RUN, 'report', 'of2')
        check_page('of2/report.html')


def test_objectives():
    with open('search.nd', encoding='utf-8') as file:
        text = file.read()
    write('priced.nd', text.replace('epochs ', 'objective [macs(target = 1), memory(target = 2)]  epochs ', 1))
    run(RUN, 'search', 'priced.nd', '--out', 'priced')
    run(RUN, 'report', 'priced', 'found')
    page = check_page('priced/report.html')
    last = json.loads(read('priced', 'metrics.jsonl').splitlines()[-1])
    expect(f'{last["memory_mb"]:.4g} MB, {last["macs_m"]:.4g} M multiply-adds' in page.text and 'expected cost' in page.text, page.text)
    if shutil.which('gnuplot'):
        pictures = {picture['alt']: urllib.parse.unquote(picture['src']) for picture in page.pictures}
        expect('what the network is expected to cost, over time' in pictures, sorted(pictures))
        against = pictures['accuracy against cost']
        expect(all(f'>{title}<' in against for title in ('expected weights and values, MB', 'expected multiply-adds, millions')), against)


def test_several_runs():
    run(RUN, 'report', 'found', 'seeds/', 'trained', '-o', 'all.html')
    page = check_page('all.html')
    for part in ('found', 'seed-0', 'seed-1', 'trained', 'Comparison', 'held-out training images'):
        expect(part in page.text, f'no {part}')


def test_without_programs():
    os.makedirs('bin', exist_ok=True)
    if not os.path.exists('bin/sh'):
        os.symlink('/bin/sh', 'bin/sh')
    shutil.copytree('found', 'bare')
    for name in ('normal.svg', 'reduce.svg'):
        if os.path.exists(f'bare/{name}'):
            os.remove(f'bare/{name}')
    run(RUN, 'report', 'bare', env={**os.environ, 'PATH': os.path.abspath('bin')})
    page = check_page('bare/report.html')
    expect(not page.pictures and 'gnuplot is not installed' in page.text and 'Graphviz is not installed' in page.text, page.text)


def test_unfinished_run():
    shutil.copytree('trained', 'begun')
    os.remove('begun/metrics.jsonl')
    run(RUN, 'report', 'begun')
    expect('No epoch is finished yet' in check_page('begun/report.html').text, 'unfinished')


def test_files_that_cannot_be_read():
    """A file that is there and cannot be read is not one that is missing: page and stderr name it."""
    for name in ('metrics.jsonl', 'timing.jsonl', 'alphas.jsonl', 'network.ir', 'genotype.nd'):
        shutil.copytree('found', 'unread')
        os.remove(f'unread/{name}')
        os.mkdir(f'unread/{name}')
        said = f"cannot read 'unread/{name}': Is a directory"
        run(RUN, 'report', 'unread', says=f'warning: {said}')
        expect(f'Left out: {said}' in check_page('unread/report.html').text, name)
        shutil.rmtree('unread')
    shutil.copytree('found', 'unread')
    os.remove('unread/run.json')
    os.symlink('run.json', 'unread/run.json')
    run(RUN, 'report', 'unread', code=1, says="there is no run in 'unread': cannot open 'unread/run.json': Too many levels of symbolic links")
    shutil.rmtree('unread')


def test_sums_of_sums():
    """Of a graph in which the parts of sums are shared, so that there are more ways through it than anybody can go."""
    shutil.copytree('trained', 'shared')
    text = read('shared/network.ir').decode()
    last = re.search(r'(%\d+) = concat ([^{]*), (%\d+) \{', text)
    sums, part = '', last[3]
    shape = re.search(rf'{part} = .* : (.*)\n', text)[1]
    for i in range(60):
        sums += f'  %q{i} = add {part}, {part} : {shape}\n'
        part = f'%q{i}'
    at = text.index(f'  {last[0]}')
    write('shared/network.ir', text[:at] + sums + text[at:].replace(last[0], last[0].replace(f', {last[3]} {{', f', {part} {{'), 1))
    run(RUN, 'report', 'shared', '-o', 'shared.html')
    check_page('shared.html')


def test_mistakes():
    run(RUN, 'report', code=1, says='report needs the folders of runs')
    run(RUN, 'report', 'nowhere', code=1, says="there is no run in 'nowhere'")
    run(RUN, 'report', 'found', '--out', 'x', code=1, says="unknown option '--out' of report")
    shutil.copytree('trained', 'broken')
    write('broken/run.json', '{')
    run(RUN, 'report', 'broken', code=1, says="there is no run in 'broken'")


if __name__ == '__main__':
    os.environ['NDARTS_CFLAGS'] = '-Og'  # compiled in half of the time, which is more than running it takes
    sys.exit(main([prepare, test_search, test_training, test_classes, test_objectives, test_several_runs, test_sums_of_sums, test_without_programs, test_unfinished_run,
                   test_files_that_cannot_be_read, test_mistakes]))

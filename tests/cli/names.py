#!/usr/bin/env python3
"""Names that mean something to other programs, in every place a name can have: files, folders, operations, parameters, modules,
classes. Pages, drawings, plots and C show them or leave them out; nothing of them is read as a language, and nothing is run."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

from _run import COMPILER, RUN, expect, main, read, run, write
from report import check_page

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
NETWORK = '''network main(classes ?= 5, H = 8, W = 8, channels = 3) on x {
    return x | conv: conv(4, 3, pad = 1) | relu | global_avg_pool | classifier: linear(classes)
}
'''
# Each would do something if it were read by a shell, gnuplot, Graphviz, C, HTML or printf.
NAMES = (b'x`touch PWNED`', b'$(touch PWNED)', b"it's'; system 'touch PWNED'; '", b'"; system "touch PWNED"; "', b'tail\\', b'a*\\\n', b'@x',
         b'<b>&amp;<script>alert(1)</script>', b'-o', b'%s%n%d', b'a_b^{c}$d0', b'*??', b'\\N\\G\\l', b'\xff\xfe \xc3', b'\x1b[31m\x07', ']]>\u00e9\u2028'.encode())


def file_name(name):
    return os.fsdecode(name.replace(b'/', b'|'))


def in_ir(name):
    """A string of the IR."""
    return '"' + ''.join(f'\\x{byte:02x}' if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte) for byte in name) + '"'


def shown(name):
    """What a reader sees of it."""
    text = name.decode(errors='surrogateescape')
    return ''.join(''.join(f'\\x{byte:02x}' for byte in os.fsencode(c)) if re.match('[\x00-\x1f\x7f-\x9f\udc80-\udcff]', c) else c for c in text)


def same(text):
    """However many blanks a program makes of one."""
    return re.sub(r'\s+', ' ', text)


def nothing_ran():
    expect(not glob.glob('**/PWNED*', recursive=True), 'a command in a name was run')


def lines(path, *objects):
    write(path, ''.join(json.dumps(each) + '\n' for each in objects))


def make_run(folder, text, alphas):
    """What a run of two epochs leaves."""
    os.makedirs(folder)
    write('text.nd', text)
    run(COMPILER, 'text.nd', '--emit=ir', '-o', os.path.join(folder, 'network.ir'))
    write(os.path.join(folder, 'run.json'), json.dumps({'command': 'train', 'text': 'text.nd', 'seed': 1, 'settings': {}}))
    numbers = {'lr': 0.1, 'train_loss': 1.5, 'train_accuracy': 0.4, 'grad_norm': 2, 'valid_loss': 1.6, 'valid_accuracy': 0.5}
    lines(os.path.join(folder, 'metrics.jsonl'), *({'epoch': e, 'steps': 8 * e, **{key: value + e for key, value in numbers.items()}} for e in range(2)))
    lines(os.path.join(folder, 'timing.jsonl'), *({'epoch': e, 'seconds': 1, 'images_per_second': 64 + e} for e in range(2)))
    if alphas:
        rows = [[1 / 7] * 7 for _ in range(14)]
        lines(os.path.join(folder, 'alphas.jsonl'), *({'epoch': e, 'alphas_normal': rows, 'alphas_reduce': rows} for e in range(2)))


def prepare():
    make_run('found', SEARCH, True)
    make_run('trained', TRAIN, False)
    write('net.nd', NETWORK)


def edit(path, old, new):
    text = read(path).decode()
    expect(old in text, f'{old} is not in {path}')
    write(path, text.replace(old, new))


def test_folders_of_runs():
    folders = []
    for name in NAMES:
        folders.append(os.path.join('runs', file_name(name)))
        shutil.copytree('trained', folders[-1])
    run(RUN, 'report', *folders, '-o', 'all.html')
    page = check_page('all.html')
    for name in NAMES:
        expect(same(shown(os.fsencode(file_name(name)))) in same(page.text), f'{name} is not on the page')
    run(RUN, 'report', *folders)
    nothing_ran()
    expect(sum(len(picture['src']) > 1000 for picture in page.pictures) > len(NAMES), 'no plots')


def test_candidates():
    """Of a search: they are in the legends, and in the plots of every edge."""
    for start in range(0, len(NAMES), 7):
        names = NAMES[start:start + 7]
        shutil.rmtree('search', ignore_errors=True)
        shutil.copytree('found', 'search')
        before = 'space.candidates = [@max_pool_3x3, @avg_pool_3x3, @skip_connect, @sep_conv_3x3, @sep_conv_5x5, @dil_conv_3x3, @dil_conv_5x5]'
        names += tuple(b'%d' % i for i in range(7 - len(names)))
        edit('search/network.ir', before, f'space.candidates = [{", ".join("@" + in_ir(name) for name in names)}]')
        run(RUN, 'report', 'search', '-o', 'search.html')
        page = check_page('search.html')
        for name in names:
            expect(same(shown(name)) in same(page.text), f'{name} is not on the page')
        expect(len(page.pictures) >= 4, f'{len(page.pictures)} pictures')
    nothing_ran()


def test_kinds_of_cells():
    for name in NAMES:
        try:
            text = name.decode()
        except UnicodeDecodeError:
            continue  # alphas.jsonl could not say it
        shutil.rmtree('kinds', ignore_errors=True)
        shutil.copytree('found', 'kinds')
        edit('kinds/network.ir', '@alphas_normal', '@' + in_ir(b'alphas_' + name))
        edit('kinds/alphas.jsonl', '"alphas_normal"', json.dumps('alphas_' + text))
        run(RUN, 'report', 'kinds', '-o', 'kinds.html')
        expect(same(shown(name)) in same(check_page('kinds.html').text), f'{name} is not on the page')
    nothing_ran()


def test_operations():
    """Of a network: they are on the arrows of its cells."""
    for name in NAMES:
        shutil.rmtree('net', ignore_errors=True)
        shutil.copytree('trained', 'net')
        edit('net/network.ir', '@sep_conv_3x3_2_1', '@' + in_ir(name))
        edit('net/network.ir', 'module "text"', f'module {in_ir(name)}')
        run(RUN, 'report', 'net', '-o', 'net.html')
        page = check_page('net.html')
        drawn = [picture for picture in page.pictures if picture['alt'] == 'normal cell']
        expect(len(drawn) == 1, f'{name}: no drawing of the cell')
    nothing_ran()


def drawing(source, *options):
    run(COMPILER, source, '--emit=svg', *options, '-o', 'drawn.svg')
    return xml.etree.ElementTree.fromstring(read('drawn.svg'))


def test_drawings_and_sources():
    """Of step graphs, with names of parameters and of modules; and the C that is generated, whatever its text's path is."""
    for name in NAMES:
        folder = os.path.join('texts', file_name(name))
        os.makedirs(folder)
        path = os.path.join(folder, file_name(name) + '.ir')
        run(COMPILER, 'net.nd', '--emit=ir', '-o', path)
        edit(path, 'name="conv.weight"', f'name={in_ir(name)}')
        edit(path, 'name="classifier"', f'name={in_ir(b"*/" + name)}') if 'name="classifier"' in read(path).decode() else None
        write(path, re.sub('module ".*"', lambda _: f'module {in_ir(name)}', read(path).decode(), count=1))
        texts = [''.join(element.itertext()) for element in drawing(path).iter('{http://www.w3.org/2000/svg}text')]
        expect(any(same(shown(name)).strip() in same(text) for text in texts), f'{name} is not in the drawing: {texts}')
        drawing(path, '--graph=infer')
        run(COMPILER, path, '--graph=infer', '--mem-report=memory.svg', '--emit=stages', '-o', 'stages')
        xml.etree.ElementTree.fromstring(read('memory.svg'))
        run(COMPILER, path, '--emit=c', '-o', 'source.c')
        run('gcc', '-std=c99', '-trigraphs', '-Werror=comment', '-D_GNU_SOURCE', '-fsyntax-only', 'source.c')
        if shutil.which('clang'):
            run('clang', '-std=c99', '-Werror=comment', '-D_GNU_SOURCE', '-fsyntax-only', 'source.c')
    nothing_ran()


def test_texts():
    """An own operation is named in the generated C with the file that has it."""
    for name in NAMES:
        folder = os.path.join('own', file_name(name))
        os.makedirs(folder)
        path = os.path.join(folder, 'own.nd')
        write(path, 'op own(C) on x {\n    return x | conv(C, 3, pad = 1) | relu\n}\n' + NETWORK.replace('| relu', '| own(4)'))
        run(COMPILER, path, '--emit=c', '-o', 'source.c')
        run('gcc', '-std=c99', '-trigraphs', '-Werror=comment', '-D_GNU_SOURCE', '-fsyntax-only', 'source.c')
        run(COMPILER, path, '--emit=svg', '-o', 'own.svg')
        xml.etree.ElementTree.fromstring(read('own.svg'))
    nothing_ran()


def test_stand_alone_files():
    """The header is included by its name, so some names are refused."""
    write('tool.py', '')
    plan = json.loads(run(COMPILER, 'net.nd', '--emit=plan')[0])
    import _safetensors # pylint: disable=import-outside-toplevel
    count = lambda shape: 1 if not shape else shape[0] * count(shape[1:])
    shapes = {'conv.weight': (4, 3, 3, 3), 'classifier.weight': (5, 4), 'classifier.bias': (5,)}
    expect(all(name in json.dumps(plan) for name in shapes), 'other parameters')
    _safetensors.write('w.safetensors', {name: (shape, [0.5] * count(shape)) for name, shape in shapes.items()})
    os.makedirs('c')
    for name in NAMES:
        path = os.path.join('c', file_name(name) + '.c')
        bad = any(byte < 32 or byte in b'"\\\x7f' for byte in name)
        run(COMPILER, 'net.nd', '--weights', 'w.safetensors', '--emit=c', '-o', path, code=1 if bad else 0,
            says='the name of a C file, and so of its header, cannot have quotes, backslashes or line breaks' if bad else '')
        expect(os.path.exists(path) != bad, f'{name}')
        if not bad:
            run('gcc', '-std=c99', '-Wall', '-Werror=comment', '-march=native', '-fsyntax-only', path)
    nothing_ran()


if __name__ == '__main__':
    if not shutil.which('gnuplot') or not shutil.which('dot'):
        print('skipped: gnuplot and Graphviz are needed')
        sys.exit(77)
    sys.exit(main([prepare, test_folders_of_runs, test_candidates, test_kinds_of_cells, test_operations, test_drawings_and_sources, test_texts, test_stand_alone_files]))

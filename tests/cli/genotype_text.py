#!/usr/bin/env python3
"""What a search or `derive` writes stands by itself: it compiles wherever it is moved, whatever became of the searched text,
at every size, for spaces, cells and networks of one's own; and a search may be resumed from another place."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _safetensors

BUILD = os.environ['NDARTS_BUILD']
COMPILER, RUN = os.path.join(BUILD, 'bin', 'ndartsc'), os.path.join(BUILD, 'bin', 'ndarts-run')
failures = []

OPTIMISERS = 'weights sgd(lr = 0.1)  alphas adam(lr = 1e-2)'
OWN = '''import "darts.nd"
import "more.nd"
# A comment that is not kept.
op my_conv(C, stride) = relu | conv(C, width, stride, width / 2) | batch_norm    # nor this one
space small {
    candidates = list
    after my_conv = ^bn: batch_norm
    cell { inputs 2  nodes 1  output concat(nodes)  keep 2 per node }
}
search {
    space small   network cifar_search(C = 2, layers = 3)
    data synthetic(classes = 3, H = 8, W = 8, limit = 16) split 0.5
    epochs 2  batch 8
    %s
}
''' % OPTIMISERS
MORE = '''import "darts.nd"
fn soft(x) = x / (1 + abs(x))
let width = 3
op squeeze(C, stride) = soft | conv(C, 1, stride)
let list = [skip_connect, my_conv, squeeze]
op unused(C, stride) = conv(C, 5, stride, 2)
'''
# A cell of one input with a name of its own, a network of its own, no import at all.
ALONE = '''
let hidden = 4
op same(C, stride) = identity
op three(C, stride) = conv(C, 3, stride, 1) | batch_norm
space row { candidates = [same, three]  cells = [block]  cell { inputs 1  nodes 2  output s2  keep 1 per node } }
network chain(space, C = 8, depth = 2, classes ?= 10, H ?= 32, W ?= 32, channels ?= 3) on x {
    x = x | stem: conv(C, 1)
    for i in 0 .. depth do { blocks[i] { x = space.block(x) } }
    return x | global_avg_pool | classifier: linear(classes)
}
network main = chain(row, hidden, depth = 3)
search { space row  network chain(row, hidden, depth = 3)  data synthetic(classes = 5, H = 12, W = 10) %s }
''' % OPTIMISERS
# Its own copy of a library file beside it.
SHADOW = '''import "darts.nd"
network cifar(genotype, C = 36, layers = 20, classes ?= 10, auxiliary = 0, H ?= 32, W ?= 32, channels ?= 3) on x {
    first { y = genotype.normal(x | stem: conv(C, 1), x | stem2: conv(C, 1), stride = 1) }
    second { z = genotype.reduce(y, y, stride = 2) }
    return z | global_avg_pool | linear(classes)
}
search { space pair  network cifar(pair, C = 2)  data cifar10("x") %s }
''' % OPTIMISERS
SHADOWED = '''op one(C, stride) = conv(C, 1, stride)
op two(C, stride) = conv(C, 3, stride, 1)
space pair { candidates = [one, two]  cell { inputs 2  nodes 2  output concat(nodes)  keep 2 per node } }
'''
# The network takes the space from the text, so there is no place for a genotype in it.
FIXED = '''
op same(C, stride) = identity
op three(C, stride) = conv(C, 3, stride, 1)
space row { candidates = [same, three]  cells = [normal]  cell { inputs 1  nodes 1  output s1  keep 1 per node } }
network fixed(C = 4, H = 8, W = 8, channels = 3) on x { return row.normal(x | conv(C, 1)) | global_avg_pool | linear(2) }
search { space row  network fixed  data synthetic(classes = 2, H = 8, W = 8) %s }
''' % OPTIMISERS


def fail(what):
    failures.append(what)
    print(what)


def run(*command, **more):
    more.setdefault('env', dict(os.environ, NDARTS_CFLAGS='-O0'))
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def write(path, text):
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(path, 'w') as file:
        file.write(text)


def read(path):
    with open(path) as file:
        return file.read()


def expect_compiles(path, *options):
    done = run(COMPILER, path, '--emit=stats', *options)
    if done.returncode:
        fail(f'{path} does not compile:\n{done.stdout}')
    return done.stdout


def alphas(path, **shapes):
    _safetensors.write(path, {f'alphas_{kind}': ((rows, columns), [(7 * i) % 5 for i in range(rows * columns)])
                              for kind, (rows, columns) in shapes.items()})


def derive(spec, name, *sets, **shapes):
    """The text of a genotype of the space, in a folder of its own that is looked at from elsewhere."""
    alphas('alphas.safetensors', **shapes)
    out = os.path.join('sent', name + '.nd')
    os.makedirs('sent', exist_ok=True)
    done = run(RUN, 'derive', 'alphas.safetensors', '--spec', spec, '-o', out, *[f'--set={item}' for item in sets])
    if done.returncode:
        fail(f'derive {spec}: {done.stdout}')
        return ''
    return read(out)


def expect(text, present=(), absent=()):
    for what in present:
        if what not in text:
            fail(f'expected {what!r} in\n{text}')
    for what in absent:
        if what in text:
            fail(f'unexpected {what!r} in\n{text}')


def check_texts():
    write('own/spec.nd', OWN)
    write('own/more.nd', MORE)
    write('alone.nd', ALONE)
    write('shadow/spec.nd', SHADOW)
    write('shadow/darts.nd', SHADOWED)
    write('fixed.nd', FIXED)
    own = derive('own/spec.nd', 'own', normal=(2, 3), reduce=(2, 3))
    expect(own, ('import "darts.nd"\n', 'op my_conv', 'op squeeze', 'fn soft', 'let width = 3', 'let list'),
           ('more.nd', 'unused', 'space', 'comment', 'after'))
    alone = derive('alone.nd', 'alone', block=(3, 2))
    expect(alone, ('    block {', 'network main = chain(space = alphas, C = hidden, depth = 3, classes = 5, channels = 3, H = 12, W = 10)',
                   'let hidden'), ('import',))
    shadow = derive('shadow/spec.nd', 'shadow', normal=(5, 2), reduce=(5, 2))
    expect(shadow, ('op two', 'network cifar(genotype'), ('import',))
    fixed = derive('fixed.nd', 'fixed', normal=(1, 2))
    expect(fixed, ('genotype alphas {',), ('network main', 'reduce'))
    for folder in ('own', 'shadow'):
        shutil.rmtree(folder)
    os.rename('sent', 'moved')
    for name in ('own', 'alone', 'shadow'):
        expect_compiles(f'moved/{name}.nd')
    write('moved/user.nd', 'import "fixed.nd"\nnetwork main(C = 3, H = 8, W = 8, channels = 3) on x { return alphas.normal(x) | global_avg_pool | linear(2) }\n')
    if run(COMPILER, 'moved/user.nd', '--emit=stats').returncode:
        fail('the genotype without a network cannot be imported')


def check_sizes():
    """The auxiliary head where it fits, whatever the size."""
    write('sized.nd', 'import "darts.nd"\nsearch { space darts  network cifar_search(C = 2, layers = 3)\n'
          'data synthetic(classes = 4, H = 32, W = 32) %s }\n' % OPTIMISERS)
    for height, width in ((8, 8), (28, 28), (32, 32), (48, 48), (64, 64), (96, 40), (128, 128)):
        text = derive('sized.nd', f'sized{height}', f'network.H={height}', f'network.W={width}', normal=(14, 7), reduce=(14, 7))
        expect_compiles(f'sent/sized{height}.nd')
        if (height, width) == (32, 32):
            expect(text, ('auxiliary=0.4',))
        else:
            expect(text, (f'H={height}, W={width}',))


def check_search():
    """A run folder: texts and library edited and removed meanwhile, moved, derived from, resumed from elsewhere."""
    write('a/spec.nd', OWN)
    write('a/more.nd', MORE)
    done = run(RUN, 'search', 'a/spec.nd', '--out', 'a/out', '--threads', '1')
    if done.returncode:
        return fail(f'search: {done.stdout}')
    whole = read('a/out/genotype.nd')
    shutil.rmtree('a/out')
    shutil.copytree(os.path.join(os.environ['NDARTS_SOURCE'], 'genotypes'), 'library')
    process = subprocess.Popen([RUN, 'search', 'a/spec.nd', '--out', 'a/out', '--threads', '1'], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, env=dict(os.environ, NDARTS_CFLAGS='-O0', NDARTS_LIBRARY=os.path.abspath('library')))
    for line in process.stderr:
        if line.startswith('compil') and os.path.exists('a/more.nd'):
            write('a/spec.nd', 'space {{{')
            os.remove('a/more.nd')
            shutil.rmtree('library')
    if process.wait() or read('a/out/genotype.nd') != whole:
        fail('what the search writes depends on what becomes of its text')
    os.rename('a', 'b')
    expect_compiles('b/out/genotype.nd')
    done = run(RUN, 'derive', 'b/out/checkpoint.safetensors', '--name', 'spec', '-o', 'derived.nd')
    expect_compiles('derived.nd')
    if done.returncode or not whole.startswith(read('derived.nd')):
        fail(f'derive from the checkpoint: {done.stdout}, other text than the search wrote')
    # The same text with other line numbers, under another path, from another folder.
    write('c/d/spec.nd', '# a line\n\n' + OWN.replace('conv(C, width', 'conv( C , width'))
    write('c/d/more.nd', '# another\n' + MORE)
    done = run(RUN, 'search', 'd/spec.nd', '--out', '../b/out', '--resume', '--threads', '1', cwd='c')
    if done.returncode:
        fail(f'resumed from elsewhere: {done.stdout}')
    write('c/d/more.nd', MORE.replace('conv(C, 1, stride)', 'conv(C, 3, stride, 1)'))
    done = run(RUN, 'search', 'd/spec.nd', '--out', '../b/out', '--resume', '--threads', '1', cwd='c')
    if done.returncode != 1 or 'space.definitions' not in done.stdout:
        fail(f'another definition was not noticed: {done.stdout}')


def check_messages():
    """What is not there is said together with where it comes from."""
    write('only.nd', 'import "darts.nd"\nsearch { space darts  network cifar_search(C = 2, layers = 3)  data synthetic() %s }\n' % OPTIMISERS)
    for recipe in ('quick', 'cifar', 'fashion_quick'):
        done = run(RUN, 'train', 'only.nd', '--recipe', recipe, '--out', 'none')
        if done.returncode != 1 or 'only.nd:1:1: error: this text has neither a genotype nor a network' not in done.stdout:
            fail(f'--recipe {recipe}: {done.stdout}')
    alphas('small.safetensors', normal=(2, 3), reduce=(2, 3))
    done = run(RUN, 'derive', 'small.safetensors')
    if done.returncode != 1 or '--spec SPEC.nd' not in done.stdout:
        fail(f'derive of unknown alphas: {done.stdout}')
    write('own/spec.nd', OWN)
    write('own/more.nd', MORE)
    done = run(RUN, 'derive', 'small.safetensors', '--spec', 'own/spec.nd', '--draw', 'drawings', '-o', 'drawn.nd')
    if done.returncode or not os.path.exists('drawings/normal.dot'):
        fail(f'derive --draw into a new folder: {done.stdout}')


def check_refused():
    """A space whose genotypes fit no network is told before anything is compiled."""
    write('misfit.nd', ALONE.replace('cells = [block]', 'cells = [block]  network narrow').replace(
        'network main =', 'network narrow(genotype, classes, channels, H, W) on x { return genotype.other(x) }\nnetwork main ='))
    done = run(RUN, 'search', 'misfit.nd', '--out', 'misfit')
    if done.returncode != 1 or 'does not compile' not in done.stdout or "no cell 'other'" not in done.stdout:
        fail(f'misfit: {done.returncode} {done.stdout}')


    candidates = {
        '[same, three, conv_of(5)]': 'op NAME = OPERATION(...)',  # how would a genotype call it?
        '[conv_of(3), conv_of(5)]': 'op NAME = OPERATION(...)',
        '[none]': 'nothing to compute s1 from',
    }
    for what, said in candidates.items():
        write('misfit.nd', ALONE.replace('candidates = [same, three]', f'candidates = {what}').replace(
            'let hidden', 'op conv_of(n)(C, stride) = conv(C, n, stride, n / 2)\nop none(C, stride) = identity\nlet hidden'))
        done = run(RUN, 'search', 'misfit.nd', '--out', 'misfit')
        if done.returncode != 1 or said not in done.stdout or 'compiling' in done.stdout:
            fail(f'{what}: {done.returncode} {done.stdout}')


with tempfile.TemporaryDirectory() as temporary:
    os.chdir(temporary)
    check_texts()
    check_sizes()
    check_search()
    check_messages()
    check_refused()
    os.chdir('/')
sys.exit(1 if failures else 0)

#!/usr/bin/env python3
"""What others wrote is data, and code comes from places of the user's own: compilers of any name, the cache's folder and its
owner, and what a killed process leaves. (Names in drawings and pages: cli/names.py.)"""
import glob
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time

import _safetensors
from _run import COMPILER, RUN, Failure, expect, main, read, run, write

NETWORK = '''network main(classes ?= 5, H = 8, W = 8, channels = 3) on x {
    return x | conv: conv(6, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
'''
SHAPES = {'conv.weight': (6, 3, 3, 3), '1.weight': (6,), '1.bias': (6,), '1.running_mean': (6,), '1.running_var': (6,),
          'classifier.weight': (5, 6), 'classifier.bias': (5,)}
NOBODY = 65534
QUICK = '''case "$*" in
*--version*) echo quick 1.0;;
*-shared*) while [ "$1" != -o ]; do shift; done; cp made.so "$2";;
*) while [ "$1" != -o ]; do shift; done; : > "$2";;
esac
'''
SLEEP = f'sleep 1234.{os.getpid()}' # what a compiler does here; no other test's
IS_ROOT = os.geteuid() == 0
INFER = (RUN, 'infer', 'net.nd', '--weights', 'w.safetensors', '--input', 'x.npy', '--output', 'y.npy', '--threads', '1')


def prepare():
    """And a compiler that is quick: what it links is made already."""
    write('net.nd', NETWORK)
    count = lambda shape: 1 if not shape else shape[0] * count(shape[1:])
    _safetensors.write('w.safetensors', {name: (shape, [0.5] * count(shape)) for name, shape in SHAPES.items()})
    header = repr({'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 8, 8)}).ljust(117) + '\n'
    with open('x.npy', 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode() + struct.pack('<192f', *range(192)))
    infer(environment('cache', CC='gcc', NDARTS_CFLAGS='-O0'))
    os.rename(next(path for path in entries('cache/ndarts') if path.endswith('.so')), 'made.so')
    os.chmod('made.so', 0o644)
    script('quick-cc', QUICK)


def environment(cache=None, **changes):
    """With a cache of its own; None takes a variable away."""
    all_of_it = {**os.environ, 'CC': os.path.abspath('quick-cc'), 'XDG_CACHE_HOME': cache and os.path.abspath(cache), **changes}
    return {name: value for name, value in all_of_it.items() if value is not None}


def infer(env, says='', **options):
    if os.path.exists('y.npy'):
        os.unlink('y.npy')
    _, said = run(*INFER, env=env, says=says, **options)
    expect(len(read('y.npy')) == 128 + 4 * 5, 'no logits')
    return said


def script(path, text):
    write(path, '#!/bin/sh\n' + text)
    os.chmod(path, 0o755)


# ---- compilers ----

ODD = ('with space', "o'brien", 'a"quote', '`touch PWNED`', '$(touch PWNED)', ';touch PWNED;', 'back\\slash', '-dash', '@at', 'new\nline')


def test_compilers_of_any_name():
    for name in ODD:
        os.makedirs(os.path.join('bin', name), exist_ok=True)
        script(os.path.join('bin', name, 'cc'), ': > called\n' + QUICK)
        infer(environment('cache-names', CC=f'./bin/{name}/cc', NDARTS_CFLAGS=f'-DN={ODD.index(name)}'))
        os.unlink('called')
    expect(not os.path.exists('PWNED'), 'a command in the name of a compiler was run')


def test_compilers_with_options():
    script('bin/with space/show', 'printf "<%s>" "$@" >> shown\n' + QUICK)
    command = '''"bin/with space/show" -DA='a b' -DB="c \\"d\\"" -DE=f\\ g'''
    run(COMPILER, 'net.nd', '-o', 'net.so', env=environment(CC=command, NDARTS_CFLAGS="-DH='i j'"))
    shown = read('shown').decode()
    for word in ('<-DA=a b>', '<-DB=c "d">', '<-DE=f g>', '<-DH=i j>'):
        expect(word in shown, f'{word} is not in {shown}')


def test_open_quotes():
    run(COMPILER, 'net.nd', '-o', 'net.so', env=environment(CC="gcc 'x"), code=1, says="CC is gcc 'x, in which a quote is not closed")
    run(COMPILER, 'net.nd', '-o', 'net.so', env=environment(NDARTS_CFLAGS='-D"x'), code=1, says='NDARTS_CFLAGS is -D"x, in which')


def test_compilers_that_make_nothing():
    for changes in ({'CC': 'true'}, {'CC': 'cc', 'NDARTS_CFLAGS': '-E'}, {'CC': 'cc', 'NDARTS_CFLAGS': '--version'}):
        run(COMPILER, 'net.nd', '-o', 'none.so', env=environment(**changes), code=2, says='made no module')


def test_outputs_that_look_like_options():
    write('secret', 'SECRET-CONTENT')
    inject = 'x";.pushsection .rodata;.incbin "secret";.popsection;#.so'  # what the assembler would make of a quoted path
    os.makedirs('q"\\d', exist_ok=True)
    for name in ('-odd.so', '@odd.so', 'a b.so', "`touch PWNED`'.so", 'a"b.so', 'line\nbreak.so', 'q"\\d/m.so', inject):
        run(COMPILER, 'net.nd', '-o', name, env=environment())
        expect(read(name)[:4] == b'\x7fELF' and b'SECRET-CONTENT' not in read(name), name)
    expect(not os.path.exists('PWNED'), 'a command in the name of a module was run')


def test_the_compiler_is_asked_once():
    script('counting-cc', 'if [ "$1" = --version ]; then echo >> versions; [ $(wc -l < versions) = 1 ] || exit 1; fi\n' + QUICK)
    for what in ('built', 'found'):
        if os.path.exists('versions'):
            os.unlink('versions')
        infer(environment('cache-once', CC='./counting-cc'))
        expect(read('versions') == b'\n', f'{what}: the version was asked {len(read("versions"))} times')


# ---- the cache ----

def test_folders_in_place_of_entries():
    infer(environment('cache-folders'))
    for entry in glob.glob('cache-folders/ndarts/*'):
        os.unlink(entry)
        os.makedirs(os.path.join(entry, 'with', 'more'))
    infer(environment('cache-folders'))
    infer(environment('cache-folders'))


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def entries(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


def test_permissions():
    """Whatever the umask is; a folder of before that others could write is taken from them, and what they could write is made anew."""
    before = os.umask(0)
    try:
        infer(environment('cache-umask'))
    finally:
        os.umask(before)
    made = entries('cache-umask/ndarts')
    expect(mode('cache-umask') == mode('cache-umask/ndarts') == 0o700, 'the folder is open to others')
    expect({os.path.splitext(path)[1] for path in made} == {'.key', '.so', '.o', '.index'}, made)
    expect(all(mode(path) == 0o600 for path in made), f'entries: {[(p, oct(mode(p))) for p in made]}')
    module = next(path for path in made if path.endswith('.so'))
    number = os.stat(module).st_ino
    os.chmod('cache-umask/ndarts', 0o777)
    os.chmod(module, 0o664)
    said = infer(environment('cache-umask'))
    expect(not said and mode('cache-umask/ndarts') == 0o700, f'{said}{oct(mode("cache-umask/ndarts"))}')
    expect(entries('cache-umask/ndarts') == made and mode(module) == 0o600, 'not made anew')
    expect(os.stat(module).st_ino != number, 'an entry that others could write was used')
    os.chmod('cache-umask/ndarts', 0o755)
    os.chmod(module, 0o755)
    numbers = [os.stat(path).st_ino for path in made]
    infer(environment('cache-umask'))
    expect(numbers == [os.stat(path).st_ino for path in made], 'an entry that others can read is as good')


def expect_elsewhere(env, says):
    """A warning, and a folder of the process that is gone afterwards."""
    os.makedirs('tmp', exist_ok=True)
    said = infer({**env, 'TMPDIR': os.path.abspath('tmp')}, says=says)
    expect(said.count('warning') == 1 and 'set XDG_CACHE_HOME to a folder that only you can write' in said, said)
    expect(os.listdir('tmp') == [], f'left: {os.listdir("tmp")}')


def test_without_home():
    expect_elsewhere(environment(HOME=None), 'warning: compiled modules are not kept, since neither XDG_CACHE_HOME nor HOME is set')
    expect(not os.path.exists(f'/tmp/ndarts-{os.getuid()}'), 'the folder that anybody can make')
    shown, _ = run(RUN, 'info', env=environment(HOME=None))
    expect('cache       a folder of each process (neither' in shown, shown)


def test_home_of_no_use():
    """No home for a cache, as that of an account for a service: like none. But a place that was chosen is meant."""
    write('file', '')
    file = os.path.abspath('file')
    expect_elsewhere(environment(HOME=file), f'warning: compiled modules are not kept, since {file}/.cache cannot be made: Not a directory')
    shown, _ = run(RUN, 'info', env=environment(HOME=file))
    expect(f'cache       a folder of each process ({file} cannot be written: ' in shown, shown)
    run(*INFER, env=environment('file'), code=2, says='error: cannot make the cache folder')


def test_folders_that_others_can_write():
    """Anywhere on the way; a sticky one is for all."""
    os.makedirs('open/inside/ndarts')
    os.chmod('open/inside/ndarts', 0o700)
    for permissions, word in ((0o777, 'everybody'), (0o775, 'its group')):
        for folder in ('open', 'open/inside'):
            for name in ('open', 'open/inside'):
                os.chmod(name, permissions if name == folder else 0o755)
                if IS_ROOT or permissions == 0o777: # a user's own group is as good as the user
                    os.chown(name, -1, 1 if IS_ROOT else -1)
            if IS_ROOT or permissions == 0o777:
                expect_elsewhere(environment('open/inside'), f'{os.path.abspath(folder)} can be written by {word}')
    expect(os.listdir('open/inside/ndarts') == [], 'something was put into it')
    if IS_ROOT: # whose group is its own
        os.chown('open/inside', 0, 0)
        os.chmod('open/inside', 0o775)
        expect(infer(environment('open/inside')) == '', 'a group of one')
    os.chmod('open/inside', 0o1777)
    expect(infer(environment('open/inside')) == '', 'a sticky folder')
    os.chmod('open/inside', 0o755)
    os.symlink('inside', 'open/link')
    expect(infer(environment('open/link')) == '', 'an own link')
    os.chmod('open', 0o777)
    os.symlink(os.path.abspath('open/link'), 'link')
    expect_elsewhere(environment('link'), 'can be written by everybody')


def test_no_safe_place():
    os.makedirs('unsafe/cache')
    os.chmod('unsafe', 0o777)
    run(*INFER, env=environment('unsafe/cache', TMPDIR=os.path.abspath('unsafe')), code=2, says='there is no safe place for compiled modules')
    expect(os.listdir('unsafe') == ['cache'] and os.listdir('unsafe/cache') in ([], ['ndarts']), 'something was left')


def infer_anew(cache, path):
    """So that the file is asked for: of objects, modules are linked only where there is none."""
    if path.endswith(('.o', '.index')):
        for module in glob.glob(os.path.join(cache, 'ndarts', '*.so')):
            os.remove(module)
    infer(environment(cache))


def test_other_owners():
    """What another user owns, or has put there."""
    if not IS_ROOT:
        print('skipped: only root can give files to another user')
        return
    os.makedirs('foreign/ndarts')
    os.chown('foreign/ndarts', NOBODY, NOBODY)
    expect_elsewhere(environment('foreign'), 'ndarts belongs to another user (number 65534)')
    os.chown('foreign', NOBODY, NOBODY)
    os.chown('foreign/ndarts', 0, 0)
    expect_elsewhere(environment('foreign'), 'foreign belongs to another user')
    infer(environment('mixed'))
    made = entries('mixed/ndarts')
    for path in made: # as one who could write the folder before
        shutil.copy(path, 'copy')
        os.chown('copy', NOBODY, NOBODY)
        os.rename('copy', path)
        infer_anew('mixed', path)
        expect(os.stat(path).st_uid == 0, f'{path} of another user was used')
        os.rename(path, 'elsewhere')
        os.symlink(os.path.abspath('elsewhere'), path)
        infer_anew('mixed', path)
        expect(not os.path.islink(path), f'{path} was followed')
    os.makedirs('sticky')
    os.chmod('sticky', 0o1777)
    os.symlink(os.path.abspath('mixed'), 'sticky/link')
    os.chown('sticky/link', NOBODY, NOBODY, follow_symlinks=False)
    expect_elsewhere(environment('sticky/link'), 'sticky/link belongs to another user')


def test_as_another_user():
    """A user with a home of the usual permissions, root's cache, which others can read, and no home."""
    if not IS_ROOT:
        print('skipped: only root can become another user')
        return
    os.chmod('.', 0o755)
    folder = os.path.join('/tmp', f'ndarts-test-user-{os.getpid()}')
    shutil.copytree('.', folder, ignore=shutil.ignore_patterns('cache-*'))
    try:
        os.makedirs(os.path.join(folder, 'home', '.cache'))
        os.chmod(os.path.join(folder, 'home', '.cache'), 0o775)
        for path in (folder, os.path.join(folder, 'home'), os.path.join(folder, 'home', '.cache')):
            os.chown(path, NOBODY, NOBODY)
        become = {'cwd': folder, 'user': NOBODY, 'group': NOBODY, 'extra_groups': []}
        os.unlink(os.path.join(folder, 'y.npy'))
        if subprocess.run([RUN, 'info'], **become, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
            print('skipped: the programs cannot be run by another user')
            return
        env = environment(HOME=os.path.join(folder, 'home'), XDG_CONFIG_HOME=None)
        run(*INFER, env=env, says='can be written by its group', **become)
        os.chmod(os.path.join(folder, 'home', '.cache'), 0o755)
        _, said = run(*INFER, env=env, **become)
        cache = os.path.join(folder, 'home/.cache/ndarts')
        expect(said == '' and mode(cache) == 0o700, said)
        os.chown(cache, 0, 0)
        os.chmod(cache, 0o755)
        run(*INFER, env=env, says=f'warning: compiled modules are not kept, since {cache} cannot be written: Permission denied', **become)
        run(*INFER, env={**env, 'HOME': '/nonexistent'}, says='cannot be made: Permission denied', **become)
    finally:
        shutil.rmtree(folder)


# ---- links in a folder of results ----

TRAIN = NETWORK + '''train {
    network main
    data synthetic(limit=16, H=8, W=8, classes=5)
    epochs 1  batch 8
    weights sgd(lr=0.1, momentum=0.9, decay=0, clip=5)
}
'''


def train(*arguments, **options):
    return run(RUN, 'train', 'train.nd', *arguments, '--threads', '1', env=environment('cache-train', CC='gcc', NDARTS_CFLAGS='-O0'), **options)


def test_links_out_of_a_run():
    """Every file of a run that came from elsewhere is a link to a file of the user's; the run goes on, and they are as they were."""
    write('train.nd', TRAIN)
    train('--out', 'run', '--tensorboard')
    os.makedirs('mine')
    names = [name for name in os.listdir('run') if not os.path.isdir(os.path.join('run', name)) and name[0] != '.']
    expect(len(names) > 7 and 'checkpoint.safetensors' in names and 'metrics.jsonl' in names, f'{names}')
    for name in names:
        shutil.move(os.path.join('run', name), os.path.join('mine', name))
        os.symlink(os.path.abspath(os.path.join('mine', name)), os.path.join('run', name))
    os.symlink(os.path.abspath('mine/new'), 'run/report.html')
    before = {name: read('mine', name) for name in os.listdir('mine')}
    os.symlink('run', 'way') # to the folder itself a link may lead
    train('--out', 'way', '--tensorboard', '--resume', '--allow-different-build', '--set', 'epochs=2')
    run(RUN, 'report', 'run')
    expect({name: read('mine', name) for name in os.listdir('mine')} == before, 'a file behind a link was written')
    written = {name for name in os.listdir('run') if not os.path.islink(os.path.join('run', name))}
    for name in ('checkpoint.safetensors', 'metrics.jsonl', 'timing.jsonl', 'result.json', 'report.html'):
        expect(name in written, f'{name} is not in the run: {written}')
    expect(len(read('run/metrics.jsonl').splitlines()) == 2, 'lines are missing')


def test_links_that_a_user_names():
    """-o goes where the link leads, and to devices."""
    write('page.html', '')
    os.symlink('page.html', 'link.html')
    run(RUN, 'report', 'run', '-o', 'link.html')
    expect(os.path.islink('link.html') and b'<html' in read('page.html'), 'not followed')
    shown, _ = run(RUN, 'report', 'run', '-o', '/dev/stdout')
    expect('<html' in shown, 'nothing on stdout')


def test_folders_that_are_links():
    """Of a seed; and lines that would be added to a file elsewhere."""
    os.makedirs('outside')
    os.makedirs('seeds')
    os.symlink(os.path.abspath('outside'), 'seeds/seed-0')
    train('--out', 'seeds', '--seeds', '0,1', code=1, says="'seeds/seed-0' is a link; only 'seeds' itself may be one")
    expect(os.listdir('outside') == [], f'{os.listdir("outside")}')
    os.makedirs('lines')
    write('outside/lines', 'mine')
    os.symlink(os.path.abspath('outside/lines'), 'lines/metrics.jsonl')
    train('--out', 'lines')
    expect(read('outside/lines') == b'mine', 'a line was added')


# ---- what a killed process leaves ----

def processes():
    """Command lines by number."""
    found = {}
    for number in filter(str.isdigit, os.listdir('/proc')):
        try:
            found[int(number)] = read('/proc', number, 'cmdline').replace(b'\0', b' ').decode(errors='replace')
        except OSError:
            pass
    return found


def wait_until(condition, what):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise Failure(f'waited 30 s for {what}')


def begin_compiling(command, env):
    """Starts a program and waits until its compiler is at work."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: any(SLEEP in line for line in processes().values()), 'the compiler')
    return process


def test_killed():
    """Neither compilers nor folders stay, whoever was killed and how."""
    script('slow-cc', '[ "$1" = --version ] && echo slow && exit\necho > $TMPDIR/cc-own.s\n' + SLEEP + '\n')
    write('train.nd', TRAIN)
    os.makedirs('tmp', exist_ok=True)
    kept = environment('cache-killed', CC='./slow-cc', TMPDIR=os.path.abspath('tmp'))
    bare = environment(HOME=None, CC='./slow-cc', TMPDIR=os.path.abspath('tmp'))
    training = (RUN, 'train', 'train.nd', '--out', 'out', '--threads', '1')
    for command, env, number in ((INFER, kept, signal.SIGKILL), (INFER, kept, signal.SIGTERM), (training, kept, signal.SIGKILL),
                                 (INFER, bare, signal.SIGKILL), ((COMPILER, 'net.nd', '-o', 'killed.so'), kept, signal.SIGKILL)):
        process = begin_compiling(command, env)
        os.kill(process.pid, number)
        process.wait()
        wait_until(lambda: not any(SLEEP in line for line in processes().values()), f'the end of the compiler of {command}')
    process = begin_compiling(training, kept) # what the terminal does at Ctrl-C
    os.killpg(process.pid, signal.SIGINT)
    expect(process.wait(timeout=60) == 130, f'interrupted: {process.returncode}')
    wait_until(lambda: not any(SLEEP in line for line in processes().values()), 'the end of the compiler after Ctrl-C')
    env = {**kept, 'CC': os.path.abspath('quick-cc')}
    infer(env)
    infer({**bare, 'CC': os.path.abspath('quick-cc')})
    run(COMPILER, 'net.nd', '-o', 'killed.so', env=env)
    left = [path for folder in ('cache-killed/ndarts', 'tmp', '.') for path in entries(folder) if 'build-' in path]
    expect(not left, f'left behind: {left}')


def test_leftovers_count():
    """Folders in which others are at work count as part of the cache; those of dead processes of before go."""
    infer(environment('cache-size'))
    folder = 'cache-size/ndarts/' + 'a' * 64 + '.so.7-1.build-abcdef'
    os.makedirs(folder)
    with open(os.path.join(folder, 'unit0.c'), 'wb') as file:
        file.truncate(5000000)
    infer(environment('cache-size', NDARTS_CFLAGS='-DX'))
    expect(not os.path.exists(folder), 'still there')
    expect(not any(os.path.isdir(path) for path in entries('cache-size/ndarts')), f'{entries("cache-size/ndarts")}')
    expect(sum(path.endswith(('.so', '.key')) for path in entries('cache-size/ndarts')) == 4, f'{entries("cache-size/ndarts")}')


if __name__ == '__main__':
    sys.exit(main([prepare, test_compilers_of_any_name, test_compilers_with_options, test_open_quotes, test_compilers_that_make_nothing, test_folders_in_place_of_entries,
                   test_outputs_that_look_like_options,
                   test_the_compiler_is_asked_once, test_permissions, test_without_home, test_home_of_no_use, test_folders_that_others_can_write,
                   test_no_safe_place, test_other_owners, test_as_another_user, test_links_out_of_a_run,
                   test_links_that_a_user_names, test_folders_that_are_links, test_killed, test_leftovers_count]))

#!/usr/bin/env python3
"""What is installed works without the source tree, wherever it is put: programs by their path, through a link or by $PATH, the
shared library in another program, staged with DESTDIR, moved afterwards."""
import os
import shutil
import subprocess
import sys

from _run import BUILD, SOURCE, expect, main, read, run, write

TEXT = '''import "darts.nd"
network main = cifar(DARTS_V2, C = 4, layers = 2)
'''
GENOTYPE = '''import "darts_v2.nd"
network main = cifar(DARTS_V2, C = 4, layers = 2)
'''
PROGRAM = '''#include <ndarts.h>
#include <stdio.h>
int main(int argc, char **argv) {
    NdartsNet *net;
    char *message = NULL;
    NdartsOptions options = {.size = sizeof options, .threads = 1};
    NdartsStatus status = ndarts_open(argv[argc - 1], &options, &net, &message);
    fprintf(stderr, "%s", message ? message : "");
    ndarts_free(message);
    if (status == NDARTS_OK)
        ndarts_close(net);
    return status;
}
'''
NETWORK = 'import "darts.nd"\nnetwork main(classes ?= 3, H = 8, W = 8, channels = 3) on x {\n    return x | relu_conv_bn(4) | global_avg_pool | classifier: linear(classes)\n}\n'


def install(prefix, **environment):
    run('cmake', '--install', BUILD, '--prefix', prefix, env={**os.environ, **environment})


def library(prefix):
    """Of libndarts.so."""
    return os.path.dirname(subprocess.run(['find', prefix, '-name', 'libndarts.so'], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[0])


def check_programs(programs, home, **options):
    """All of them find what is below home/share."""
    genotypes = os.path.join(os.path.realpath(home), 'share/ndarts/genotypes')
    shown, _ = run(os.path.join(programs, 'ndarts-run'), 'info', **options)
    expect(f'library     {genotypes}\n' in shown, shown)
    run(os.path.join(programs, 'ndartsc'), 'genotype.nd', '--emit=stats', **options)
    run(os.path.join(programs, 'ndarts-run'), 'train', 'genotype.nd', '--recipe', 'no_such', code=1,
        says=f' (of {genotypes}/../specs/recipes)', **options)


def prepare():
    write('genotype.nd', GENOTYPE)
    write('net.nd', NETWORK)
    write('program.c', PROGRAM)
    install('first')


def test_moved():
    """Also with blanks in the path, and through links."""
    check_programs(os.path.abspath('first/bin'), 'first')
    os.rename('first', 'a moved prefix')
    check_programs(os.path.abspath('a moved prefix/bin'), 'a moved prefix')
    check_programs('a moved prefix/bin', 'a moved prefix')
    os.makedirs('bin')
    for name in ('ndartsc', 'ndarts-run', 'ndarts-opt'):
        os.symlink(f'../a moved prefix/bin/{name}', f'bin/{name}')
    check_programs('bin', 'a moved prefix')
    check_programs('', 'a moved prefix', env={**os.environ, 'PATH': f'{os.path.abspath("bin")}:{os.environ["PATH"]}'})


def test_staged():
    install('/opt/ndarts', DESTDIR=os.path.abspath('stage'))
    check_programs('stage/opt/ndarts/bin', 'stage/opt/ndarts')


def test_another_program():
    """It has the library of definitions from the shared library, wherever it lies itself."""
    prefix = os.path.abspath('a moved prefix')
    found = subprocess.run(['find', prefix, '-name', 'ndarts.pc'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    shown = subprocess.run(['pkg-config', '--variable=genotypes', 'ndarts'], stdout=subprocess.PIPE, text=True, check=True,
                           env={**os.environ, 'PKG_CONFIG_PATH': os.path.dirname(found)}).stdout.strip().replace('\\ ', ' ')
    expect(os.path.realpath(shown) == os.path.join(os.path.realpath(prefix), 'share/ndarts/genotypes'), shown)
    os.makedirs('elsewhere')
    run('gcc', 'program.c', '-o', 'elsewhere/program', f'-I{prefix}/include', f'-L{library(prefix)}', '-lndarts')
    run('elsewhere/program', 'net.nd', env={**os.environ, 'LD_LIBRARY_PATH': library(prefix), 'NDARTS_CFLAGS': '-O0'})


def test_without_definitions():
    """The message names the folders, and none of them is in the source tree."""
    shutil.copytree('a moved prefix', 'bare', symlinks=True)
    shutil.rmtree('bare/share')
    programs = os.path.abspath('bare/bin')
    _, said = run(os.path.join(programs, 'ndartsc'), 'genotype.nd', '--emit=stats', code=1, says="cannot import 'darts_v2.nd'")
    for words in (f'{os.path.abspath("bare")}/', '/ndarts/genotypes', 'NDARTS_LIBRARY'):
        expect(words in said, f'{words} is not in {said}')
    expect(f'{SOURCE}/genotypes' not in said, said)
    _, said = run(os.path.join(programs, 'ndarts-run'), 'train', 'genotype.nd', '--recipe', 'cifar', code=1, says="unknown recipe 'cifar'")
    expect(f'{os.path.abspath("bare")}/' in said and 'NDARTS_LIBRARY' in said and f'{SOURCE}/genotypes' not in said, said)
    shown, _ = run(os.path.join(programs, 'ndarts-run'), 'info')
    expect('library     none; looked in' in shown and f'{SOURCE}/genotypes' not in shown, shown)
    run(os.path.join(programs, 'ndartsc'), 'genotype.nd', '--emit=stats',
        env={**os.environ, 'NDARTS_LIBRARY': os.path.abspath('a moved prefix/share/ndarts/genotypes')})
    shown, _ = run(os.path.join(BUILD, 'bin/ndarts-run'), 'info')
    expect(f'library     {SOURCE}/genotypes\n' in shown, shown)


def test_hidden_tree():
    """The source tree is not there at all."""
    if os.geteuid() or subprocess.run(['unshare', '-m', 'true'], stderr=subprocess.DEVNULL, check=False).returncode:
        print('skipped: the source tree can only be hidden by root')
        return
    run('unshare', '-m', 'sh', '-ec', f'mount -t tmpfs none "{SOURCE}"\n"a moved prefix/bin/ndartsc" genotype.nd -o net.so\n'
        '"a moved prefix/bin/ndarts-run" train genotype.nd --recipe fashion_quick --set data.path=none 2>&1 | grep -q none', env={**os.environ, 'NDARTS_CFLAGS': '-O0'})
    expect(read('net.so')[:4] == b'\x7fELF', 'no module')


if __name__ == '__main__':
    sys.exit(main([prepare, test_moved, test_staged, test_another_program, test_without_definitions, test_hidden_tree]))

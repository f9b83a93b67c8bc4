"""Texts that would take all time or memory: each is answered within seconds and a gigabyte, with what takes too much."""
import os
import resource
import subprocess
import sys
import tempfile

from _run import COMPILER, Failure, expect

OPT = os.path.join(os.path.dirname(COMPILER), 'ndarts-opt')
SECONDS, BYTES = 10, 1 << 30
with open(COMPILER, 'rb') as program:
    SANITIZED = b'__asan_init' in program.read()  # its shadow memory is larger than any limit
TINY = 'network main(H = 4, W = 4, channels = 1) on x { return x | global_avg_pool | linear(2) }\n'


def limit():
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def answer(*command, **more):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=limit, timeout=300, check=False,
                          **more)
    return done.returncode, done.stderr.decode(errors='replace')


def compile_text(folder, text, *options):
    path = os.path.join(folder, 'text.nd')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return answer(COMPILER, path, *options)


def check(title, found, code, says=''):
    expect(found[0] == code and says in found[1] and 'bug' not in found[1],
           f'{title}: exit code {found[0]}, expected {code} and "{says}"\n{found[1][:2000]}')


def check_files(folder):
    """What is imported is a file; what is named on the command line may be a pipe, and ends."""
    os.mkfifo(os.path.join(folder, 'pipe.nd'))
    os.mkdir(os.path.join(folder, 'folder.nd'))
    with open(os.path.join(folder, 'large.nd'), 'wb') as file:
        file.truncate(9 << 20)
    check('import of a pipe', compile_text(folder, 'import "pipe.nd"\n' + TINY), 1, "'%s/pipe.nd': it is a device or a pipe" % folder)
    check('import of a device', compile_text(folder, 'import "/dev/zero"\n' + TINY), 1, "'/dev/zero': it is a device or a pipe")
    check('import of a folder', compile_text(folder, 'import "folder.nd"\n' + TINY), 1, 'it is a folder, not a file')
    check('import of a large file', compile_text(folder, 'import "large.nd"\n' + TINY), 1, 'too many for a text')
    check('--set of a pipe', compile_text(folder, TINY, '--set', 'network=pipe'), 1, 'it is a device or a pipe')
    check('endless text', answer(COMPILER, '/dev/zero'), 1, 'too many for a text')
    check('endless IR', answer(OPT, '/dev/zero'), 1, 'too many for a text')
    check('standard input', answer(COMPILER, '-', '--emit=stats', input=TINY.encode()), 0)
    check('a pipe as the text', answer('bash', '-c', f"{COMPILER} --emit=stats <(echo '{TINY}')"), 0)
    for i in range(70):
        with open(os.path.join(folder, f'chain{i}.nd'), 'w', encoding='utf-8') as file:
            file.write(f'import "chain{i + 1}.nd"\n')
    check('imports of imports', compile_text(folder, 'import "chain0.nd"\n' + TINY), 1, 'imports go 64 deep here')
    for i in range(5):
        with open(os.path.join(folder, f'part{i}.nd'), 'w', encoding='utf-8') as file:
            file.write(' ' * (2 << 20))
    check('large imports', compile_text(folder, ''.join(f'import "part{i}.nd"\n' for i in range(5)) + TINY), 1,
          'with it a text and its imports have more than 8388608 bytes')


def check_mistakes(folder):
    """Many mistakes, and many of what is looked at for each of them."""
    many = range(100000)
    more = 'more errors follow'
    check('syntax errors', compile_text(folder, 'let = \n' * 100000), 1, more)
    check('unknown names', compile_text(folder, ''.join(f'let a{i} = b{i}\n' for i in many)), 1, more)
    check('one definition', compile_text(folder, ''.join('let a = 1\n' for i in many)), 1, more)
    check('unknown characters', compile_text(folder, '? ' * 100000), 1, more)
    check('settings', compile_text(folder, 'train { ' + 'epochs 1 ' * 100000 + '}'), 1, more)
    check('cells', compile_text(folder, 'genotype g { ' + ''.join(f'c{i} {{ return s0 }} ' for i in many) + '}'), 1, 'nothing to compile')
    check('candidates', compile_text(folder, 'space s { candidates = [' + 'relu, ' * 100000 + 'relu] cell { output s0 } }'), 1, more)
    rules = ''.join(f'after a{i} = relu ' for i in range(30000))
    names = ''.join(f'op a{i}(C, stride) = relu\n' for i in range(30000))
    check('rules', compile_text(folder, names + 'space s { candidates = [' + ', '.join(f'a{i}' for i in range(30000)) + '] ' + rules +
                                'cell { output s0 } }'), 1, 'nothing to compile')


def check_memory(folder):
    """Too little memory for the scanner, the parser or what comes after them is said, whichever runs out."""
    text = 'let a = [' + '1, ' * 300000 + '1]\n' + TINY
    for megabytes in (16, 24, 32, 48, 64, 96):
        path = os.path.join(folder, 'memory.nd')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        found = answer('bash', '-c', f'ulimit -v {megabytes * 1024} && exec {COMPILER} {path} --emit=stats')
        # The loader of shared libraries has its own words for too little.
        expect(found[0] in (0, 2, 127) and 'bug' not in found[1], f'{megabytes} MB: exit code {found[0]}\n{found[1]}')


def main():
    checks = [check_files, check_mistakes]
    if not SANITIZED:
        checks.append(check_memory)
    for each in checks:
        with tempfile.TemporaryDirectory() as folder:
            each(folder)
    return 0


try:
    sys.exit(main())
except Failure as failure:
    print(failure)
    sys.exit(1)

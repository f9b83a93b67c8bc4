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
    check('import of a folder', compile_text(folder, 'import "folder.nd"\n' + TINY), 1, 'a folder, not a ')
    with open(os.path.join(folder, 'vast.nd'), 'wb') as file:
        file.truncate(1 << 43)
    check('a text of 8 TB', answer(COMPILER, os.path.join(folder, 'vast.nd')), 1, 'too many for a text')
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


def network(body, before=''):
    return f'{before}\nnetwork main(H = 4, W = 4, channels = 1) on x {{ {body} return x | global_avg_pool | linear(2) }}\n'


def check_steps(folder):
    """Loops, lists, names and functions of which there would be too many."""
    steps, operations = 'this takes too many steps', 'the network has more than 262144 operations'
    check('empty loops', compile_text(folder, network('for i in 0 .. 99999 do { for k in 0 .. 99999 do { } }')), 1, steps)
    check('a loop from end to end', compile_text(folder, network('for i in -9223372036854775807 .. 9223372036854775807 do { }')), 1,
          'at most 100000 times')
    check('a list that grows', compile_text(folder, network('l = [] for i in 0 .. 99999 do { l = [i] + l }')), 1, steps)
    check('a list that doubles', compile_text(folder, network('l = [1, 2] for i in 0 .. 50 do { l = l + l + l }')), 1, steps)
    check('a list of a function', compile_text(folder, 'fn f(l, n) = if n > 0 then f(l + l, n - 1) else l\n' +
                                               network('x = x | conv(length(f([1], 60)), 1)')), 1, steps)
    check('long names', compile_text(folder, network('a' * 100000 + ' { for i in 0 .. 99999 do { b[i] { y = x } } }')), 1, steps)
    check('numbers', compile_text(folder, 'fn f(n) = if n > 1 then f(n - 1) + f(n - 2) else 1\nlet a = f(60)\n' + network('x = x | conv(a, 1)')),
          1, steps)
    check('many functions', compile_text(folder, network('for i in 0 .. 99999 do { x = x | f(i) }', 'op f(n) on x { return x + n }')), 1, steps)
    check('many operations', compile_text(folder, network('for i in 0 .. 99999 do { x = relu(x) y = x + x z = y * y }')), 1, operations)
    double = 'op f(n) on x { if n > 0 then { a = x | a: f(n - 1) b = x | b: f(n - 1) return a + b } else { return %s } }'
    check('doubles', compile_text(folder, network('x = x | f(50)', double % 'relu(x)')), 1, operations)
    check('doubles, with parameters', compile_text(folder, network('x = x | f(50)', double % 'x | conv(1, 1)')), 1, operations)
    check('doubles, in a space', compile_text(folder, double % 'relu(x)' + '''
        op deep(C, stride) = f(50)
        space s { candidates = [deep] cell { inputs 1 nodes 1 output s1 } cells = [normal] }
        network n(space, C = 1, H ?= 4, W ?= 4, channels ?= 1) on x { return space.normal(x) | global_avg_pool | linear(2) }
        search { space s network n data synthetic(classes = 2, H = 4, W = 4, channels = 1) }'''), 1, operations)
    names = [f'o{i}' for i in range(20000)]
    definitions = ''.join(f'op {name}(C, stride) = avg_pool(1, stride)\n' for name in names)
    space = 'space s { candidates = [%s] cell { inputs 1 nodes 1 output s1 } cells = [normal] }\n' % ', '.join(names)
    check('many candidates', compile_text(folder, definitions + space + '''
        network n(space, C = 1, H ?= 4, W ?= 4, channels ?= 1) on x { return space.normal(x) | global_avg_pool | linear(2) }
        search { space s network n data synthetic(classes = 2, H = 4, W = 4, channels = 1) }'''), 0)


def check_length(folder):
    """A network that is long takes as much longer as it has more cells."""
    text = 'import "darts.nd"\nimport "darts_v2.nd"\nnetwork main = cifar(DARTS_V2, C = 1, layers = 300, H = 4, W = 4)\n'
    check('300 cells', compile_text(folder, text, '--emit=stages'), 0)
    chain = network('for i in 0 .. 20000 do { x = relu(x + 1) }')
    check('a chain of operations', compile_text(folder, chain, '--emit=c', '--graph=infer', '-o', '/dev/null'), 0)
    check('its gradient', compile_text(folder, chain, '--emit=stages', '--graph=train', '-o', '/dev/null'), 0)


def check_ir(folder):
    """The same of texts of the intermediate form."""
    path = os.path.join(folder, 'text.ir')
    call = '  %{} = call %{} {{callee=@f{}, name="{}"}}\n'
    function = 'graph @f{}(%0: f32[N,4]) {{\n{}  return %2\n}}\n'
    node = '  %1 = relu %0\n  %2 = relu %1\n'
    with open(path, 'w', encoding='utf-8') as file:
        file.write(function.format(0, node) + ''.join(function.format(i, call.format(1, 0, i - 1, 'a') + call.format(2, 1, i - 1, 'b'))
                                                      for i in range(1, 60)))
    check('doubles', answer(OPT, path, '--verify-only'), 1, 'has more than 262144 nodes when its calls are written out')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(function.format(0, node) + ''.join(function.format(i, call.format(2, 0, i - 1, 'a')) for i in range(1, 3000)))
    check('deep calls', answer(OPT, path, '--verify-only'), 1, 'go more than 1000 deep')


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
    checks = [check_files, check_mistakes, check_steps, check_length, check_ir]
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

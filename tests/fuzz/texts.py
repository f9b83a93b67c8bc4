#!/usr/bin/env python3
"""Texts made of the grammar's own parts, put where they do not belong: each is compiled, or told what is wrong with it.

    texts.py [--count N] [--seed S]     the same ones in every run; a finding prints the text and the command

A text is one of the forms below with its holes filled: by what belongs there, or by an expression of any kind. --set gives
likewise. Wrong is a signal, a bug of ours, an exit code without a word, more than 10 s of processor time or 2 GB."""
import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile

COMPILER = os.path.join(os.environ['NDARTS_BUILD'], 'bin', 'ndartsc')
HEAD = '''import "darts.nd"
import "darts_v2.nd"
fn half(x) = x / 2
fn plus(x, y = {e}) = x + y
let some = {e}
let other = {n}
op wide(C, stride) = conv({n}, 1, stride) | batch_norm
op named(C, k = {e}) on x {{ y = x | {o} return x | a: {o} }}
network tiny(classes ?= 4, C = {n}, H ?= 8, W ?= 8, channels ?= 3) on x {{ return x | conv(C, 3, 2, 1) | batch_norm | relu | global_avg_pool | linear(classes) }}
network same = {t}
space two {{ candidates = [{k}, skip_connect]  {r} cell {{ inputs {n} nodes {n} output {c} keep {n} per node }} }}
'''
FORMS = (
    'network main(H = {n}, W = {n}, channels = {n}) on x {{ {s} {s} return x | {o} | {o} | global_avg_pool | linear({n}) }}\n',
    'network main = {m}\n',
    'genotype g {{ normal {{ s2 = {o}(s0) + {o}(s1) return concat(s2) }} reduce {{ s2 = {o}(s1) {s} return [s2] }} }}\n'
    'network main = cifar(g, C = {n}, layers = 1, H = 16, W = 16)\n',
    'train {{ network {m}  data synthetic(classes = {n}, H = {n}, W = {n}, channels = {n}, crop = {e}, mean = {l}, std = {e})  limit {e}'
    '  epochs {e}  batch {e}  seed {e}  drop_path {e}  weights sgd(lr = {q}, momentum = {e}, decay = {e}, clip = {e}) }}\n',
    'search {{ space {p} network cifar_search(C = {n}, layers = 1)  noise on skip_connect {{ gaussian std = ({e}) mean = ({e}) }}'
    '  data synthetic(classes = 4, H = 8, W = 8, channels = {n}) split {e}  epochs {e}  batch {n}'
    '  weights sgd(lr = {q}, momentum = 0.9)  alphas adam(lr = {e}, betas = {l}, decay = {e}) }}\n',
)
NUMBERS = ('0', '1', '2', '3', '4', '8', '16', '-1', '0.5', '1e308', '1e-320', '2147483647', '2147483648', '4294967296', '1000000000',
           '9223372036854775807', '-9223372036854775807', '1e999', '65536')
NAMES = ('some', 'other', 'half', 'plus', 'wide', 'named', 'tiny', 'same', 'two', 'darts', 'DARTS_V2', 'main', 'x', 'C', 'stride', 's0',
         'skip_connect', 'sep_conv_3x3', 'relu', 'conv', 'concat', 'identity', 'nowhere', 'two.normal', 'DARTS_V2.reduce', 'darts.reduce')
FUNCTIONS = ('sqrt', 'exp', 'log', 'abs', 'max', 'min', 'clamp', 'select', 'relu', 'half', 'plus', 'wide', 'named', 'tiny', 'same', 'conv',
             'length', 'concat', 'linear', 'depthwise', 'max_pool', 'pad', 'crop', 'cifar', 'two.normal', 'cosine', 'channels')
SETS = ('weights.lr', 'alphas.lr', 'C', 'H', 'network', 'genotype', 'batch', 'epochs', 'std', 'nodes', 'inputs', 'classes', 'path', 'split')


class Maker:
    def __init__(self, chance):
        self.chance = chance

    def pick(self, *choices):
        return self.chance.choice(choices)

    def expression(self, depth=2):
        kind = self.chance.randrange(12 if depth else 4)
        inner = lambda: self.expression(depth - 1)
        if kind < 3:
            return self.pick(*NUMBERS)
        if kind == 3:
            return self.pick(*NAMES)
        if kind < 7:
            arguments = [self.pick('', '', 'C = ', 'x = ', 'k = ') + inner() for _ in range(self.chance.randrange(3))]
            return f'{self.pick(*FUNCTIONS)}({", ".join(arguments)})'
        return self.pick(lambda: f'({inner()} {self.pick("+", "-", "*", "/", "%", "==", "<", "and")} {inner()})',
                         lambda: f'(if {inner()} then {inner()} else {inner()})', lambda: f'[{inner()}, {inner()}]',
                         lambda: f'(-{inner()})', lambda: f'({inner()} | {inner()})', lambda: f'(a[{inner()}]: {inner()})',
                         lambda: '{ ' + inner() + ' }', lambda: f'{self.pick(*NAMES)}[{inner()}]')()

    def usual(self, *choices):
        """What belongs there, most of the time."""
        return self.pick(*choices) if self.chance.random() < 0.95 else self.expression()

    def statement(self):
        e = self.expression
        return self.pick(lambda: '', lambda: f'y = {e()}', lambda: f'x = x | {self.operation()}',
                         lambda: f'for i in {self.usual("0", "1")} .. {self.usual("2", "100000")} do {{ {self.statement()} }}',
                         lambda: f'if {self.usual("true", "C > 1")} then {{ x = relu(x) }} else {{ {self.statement()} }}',
                         lambda: f'block[{e(1)}] {{ {self.statement()} }}', lambda: f'l = {e(1)} + {e(1)}')()

    def operation(self):
        return self.usual('skip_connect(4, 1)', 'relu', 'wide(4, 1)', 'named(4)', 'max_pool(3, 1, 1)', 'conv(4, 3, 1, 1)', 'batch_norm',
                          'half', '{ relu | identity }', 'sep_conv_3x3(C = 4, stride = 1)')

    def holes(self):
        class Holes(dict):
            def __missing__(holes, name):
                return {'e': lambda: self.usual('1', '1', '2', '2', 'max(2, some)', 'sqrt(0.25)'), 'n': lambda: self.usual('1', '2', '4', '8', 'some', 'max(2, 4)'), 'o': self.operation,
                        'm': lambda: self.usual('tiny', 'tiny(C = 2)', 'same', 'main', 'cifar(DARTS_V2, C = 2, layers = 1, H = 8, W = 8)'),
                        's': self.statement, 'l': lambda: self.usual('(0.5, 0.999)', '[0.1, 0.2, 0.3]', '0.5'),
                        'q': lambda: self.usual('0.1', 'cosine(0.1, 0)', 'sqrt(0.01)'), 'p': lambda: self.usual('two', 'darts'),
                        'k': lambda: self.usual('wide', 'sep_conv_3x3', 'max_pool_3x3'),
                        't': lambda: self.usual('tiny', 'tiny(C = 2)', 'tiny(some)'),
                        'r': lambda: self.pick('', '', '', '', '', '', f'edge normal(0, {self.expression(1)}) = [{self.operation()}]',
                                               f'after skip_connect = {self.operation()}', f'cells = [normal, {self.usual("reduce")}]'),
                        'c': lambda: self.usual('concat(nodes)', 's2', 'nodes[0]')}[name]()
        return Holes()

    def fill(self, form):
        """Each hole is filled anew."""
        parts = form.replace('{{', '\0').replace('}}', '\1').split('{')
        text = parts[0] + ''.join(self.holes()[part[0]] + part[2:] for part in parts[1:])
        return text.replace('\0', '{').replace('\1', '}')

    def text(self):
        return self.fill(HEAD) + self.fill(self.pick(*FORMS))

    def sets(self):
        count = self.pick(0, 0, 0, 1, 2)
        values = [f'{self.pick(*SETS)}={self.pick(self.expression(), self.expression()[:-1], "0,5")}' for _ in range(count)]
        return [word for value in values for word in ('--set', value)]


def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (10, 11))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(COMPILER, 'rb') as program:
        if b'__asan_init' not in program.read():
            resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


def judge(command):
    """What is wrong with the answer, or ''; and whether it compiled."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=limit,
                          timeout=300, check=False)
    said = done.stderr.decode(errors='replace')
    wrong = done.returncode not in (0, 1) or ': bug: ' in said or 'runtime error:' in said or (done.returncode and not said.strip())
    return f'exit code {done.returncode}\n{said[-1500:]}' if wrong else '', done.returncode == 0


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--count', type=int, default=200)
    options.add_argument('--seed', type=int, default=1)
    options = options.parse_args()
    compiled = findings = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'text.nd')
        for i in range(options.count):
            maker = Maker(random.Random(options.seed * 1000003 + i))
            text, sets = maker.text(), maker.sets()
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            for emit in ('ir', 'c'):
                command = [COMPILER, path, f'--emit={emit}', '-o', os.path.join(folder, 'out'), *sets]
                wrong, good = judge(command)
                if wrong:
                    findings += 1
                    print(f'--- text {i} of seed {options.seed}: {" ".join(command)}\n{text}{wrong}\n')
                if not good or wrong:
                    break
                compiled += emit == 'c'
    print(f'{options.count} texts, {compiled} compiled, {findings} findings')
    return 1 if findings or not compiled else 0


sys.exit(main())

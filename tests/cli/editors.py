#!/usr/bin/env python3
"""The syntax files of tools/editors know the words of the compiler and no others; every text of the tree consists of what they know; Vim, where it is
installed, colours a text as meant."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

source, build = os.environ['NDARTS_SOURCE'], os.environ['NDARTS_BUILD']
wrong = []


def read(*path):
    with open(os.path.join(source, *path)) as file:
        return file.read()


def array(name, text):
    """The strings of a C array."""
    found = re.search(name + r'\[\] = \{(.*?)\};', text, re.S)
    return set(re.findall(r'"(\w+)"', found[1]))


def compilers_words():
    """What the compiler knows, from its tables."""
    keywords = set(re.findall(r'^"([a-z]+)" ', read('frontend', 'lexer.l'), re.M))
    experiment, space, noise = (read('frontend', f'{name}.c') for name in ('experiment', 'sema_space', 'noise'))
    clauses = array('search_names', experiment) | array('train_names', experiment)
    for names in re.findall(r'names\[\] = \{(.*?)\};', space, re.S):
        clauses |= set(re.findall(r'"(\w+)"', names))
    rows = re.search(r'clauses\[\] = \{(.*?)\n\};', read('frontend', 'sema_method.c'), re.S)[1]
    clauses |= set(re.findall(r'^    \{"(\w+)"', rows, re.M))
    clauses |= set(re.findall(r'is_assignment\(kid, "(\w+)"\)', read('frontend', 'keep.c')))
    functions = set(re.findall(r'^OP\((\w+),.*FUNCTION', read('ir', 'ops.def'), re.M))
    for path in glob.glob(os.path.join(source, 'frontend', 'builtin*.c')):
        functions |= set(re.findall(r'\{"(\w+)",\s*BUILTIN_', read(path)))
    return {'keyword': keywords, 'clause': clauses, 'function': functions, 'flag': array('words', noise)}


def vim_words():
    words = {}
    for group, names in re.findall(r'^syntax keyword ndarts(\w+)(?: contained)? (.*)$', read('tools/editors/vim/syntax/ndarts.vim'), re.M):
        words.setdefault(group.lower(), set()).update(names.split())
    return words


grammar = json.loads(read('tools/editors/vscode/syntaxes/ndarts.tmLanguage.json'))['repository']


def code_words():
    return {name: set(re.fullmatch(r'\\b\(\?:([a-z_|0-9]+)\)\\b', grammar[name]['match'])[1].split('|'))
            for name in ('definition', 'statement', 'operator', 'constant', 'function', 'clause', 'flag')}


def compare(editor, words):
    words['keyword'] = words['definition'] | words['statement'] | words['operator'] | words['constant']
    for kind, expected in compilers_words().items():
        wrong.extend(f'{editor}: the {kind} {name} is missing' for name in expected - words[kind])
        wrong.extend(f'{editor}: there is no {kind} {name}' for name in words[kind] - expected)
        if len(expected) < 7:
            wrong.append(f'only {len(expected)} words of kind {kind} were found in the compiler')


def check_tokens(path, text):
    """Comments, strings, numbers, names and signs, and nothing else."""
    string = r'"(?:[^"\\\n]|' + grammar['string']['patterns'][0]['match'] + ')*"'
    tokens = '|'.join([grammar['comment']['match'], string] + [grammar[name]['match'] for name in ('number', 'name', 'sign')])
    rest = re.sub(tokens, ' ', text, flags=re.M)
    if rest.strip(' \r\n\t(){}[],.:'):
        wrong.append(f'{path}: no token: {rest.split()[0]}')


def check_places(path, words):
    """A definition begins with a word that begins definitions, a line in search { } and the like with a clause: as ndartsc prints the text."""
    run = subprocess.run([os.path.join(build, 'bin', 'ndartsc'), path, '--emit=ast'], text=True, capture_output=True, check=False)
    if run.returncode and "unknown name 'genotype'" not in run.stderr: # which a recipe gets from elsewhere
        wrong.append(run.stderr)
    settings, before = False, ''
    for line in run.stdout.splitlines():
        first = re.match(r'( *)(\^?\w*)', line)
        if line and line[0] not in ' }':
            settings = first[2] in ('search', 'train', 'space', 'method')
            if first[2] not in words['definition']:
                wrong.append(f'{path}: {first[2]} begins no definition')
        elif settings and len(first[1]) == 4 and first[2] and first[2] not in words['clause'] and before.strip() != 'keep most':
            wrong.append(f'{path}: {first[2]} is no clause') # behind 'keep most' stands a candidate
        before = line


TEXT = '''# search
op twice(C) = relu | conv(C, 3) | end: batch_norm
search {
    space darts   epochs 50
    noise on skip_connect { gaussian std = 0.2 }
}
let path = "a\\n"
method mine(factor = 2) {
    weights(alphas) = softmax(alphas)
}
'''
COLOURS = {'1 # search': 'Comment', '2 op': 'Definition', '2 relu': 'Function', '2 3': 'Number', '2 end': 'Label', '2 twice': '', '3 search': 'Definition',
           '4 space': 'Clause', '4 darts': '', '4 epochs': 'Clause', '5 on': 'Statement', '5 gaussian': 'Flag', '7 let': 'Definition',
           '7 a': 'String', '8 method': 'Definition', '9 weights': 'Clause', '9 softmax': 'Function'}


def check_vim(folder):
    text, result, script = (os.path.join(folder, name) for name in ('text.nd', 'result', 'script.vim'))
    with open(text, 'w') as file:
        file.write(TEXT)
    places = []
    for place in COLOURS:
        line, word = place.split(' ', 1)
        column = re.search(r'(?<!\w)' + re.escape(word), TEXT.splitlines()[int(line) - 1]).start() + 1
        places.append(f'[{line}, {column}]')
    with open(script, 'w') as file:
        file.write(f"set runtimepath^={source}/tools/editors/vim\nfiletype on\nsyntax on\nedit {text}\n"
                   f"call writefile(map([{', '.join(places)}], 'synIDattr(synID(v:val[0], v:val[1], 1), \"name\")'), '{result}')\nqall!\n")
    subprocess.run(['vim', '-e', '-s', '-N', '-u', 'NONE', '-i', 'NONE', '-S', script], stdin=subprocess.DEVNULL, timeout=60, check=False)
    with open(result) as file:
        for place, colour, found in zip(COLOURS, COLOURS.values(), file.read().split('\n')):
            if found != 'ndarts' + colour and (colour or found not in ('', 'ndartsSettings')): # a region has no colour itself
                wrong.append(f'vim: {place} is {found or "plain"}, not {colour or "plain"}')


compare('vim', vim_words())
compare('vscode', code_words())
for name in ('package', 'language-configuration'):
    json.loads(read(f'tools/editors/vscode/{name}.json'))
texts = [path for folder in ('genotypes', 'specs') for path in glob.glob(os.path.join(source, folder, '**', '*.nd'), recursive=True)]
for path in texts:
    check_tokens(path, read(path))
    check_places(path, vim_words())
if shutil.which('vim'):
    with tempfile.TemporaryDirectory() as folder:
        check_vim(folder)
print('\n'.join(wrong) or f'{len(texts)} texts consist of known words')
sys.exit(1 if wrong or len(texts) < 100 else 0)

#!/usr/bin/env python3
"""Proves the table of rooms in docs/architecture.md by reading the includes: every folder with C sources is a row; it includes
what its row says it may use, and nothing else; it uses all of that; no room uses one that uses it; none is over a fifth of the code.
README's map has the same rooms."""
import os
import re
import sys

TOPS = ['base', 'ir', 'frontend', 'passes', 'codegen', 'runtime', 'lib', 'tools', 'bench']
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
SUFFIXES = ('.c', '.h', '.y', '.l', '.def')
# Made by flex, bison and protoc-c, on the include path of one room only.
GENERATED = {'frontend': {'parser.h', 'lexer.h'}, 'runtime/exchange': {'onnx.pb-c.h'}, 'runtime/loops': {'tensorboard.pb-c.h'}}
LARGEST = 1 / 5


def read_sources(source):
    """The text of every source, by its path from the root."""
    texts = {}
    for top in TOPS:
        for folder, _, files in os.walk(os.path.join(source, top)):
            for file in sorted(files):
                if file.endswith(SUFFIXES):
                    path = os.path.join(folder, file)
                    with open(path, encoding='utf-8') as opened:
                        texts[os.path.relpath(path, source)] = opened.read()
    return texts


def read_table(text):
    """The rights of each room: its row's last column."""
    rows = re.findall(r'^\| `([a-z_/]+)/` \| .* \| ([^|]+) \|$', text, re.MULTILINE)
    return {room: set() if rights.strip() == '-' else set(re.split(r',\s*', rights.strip())) for room, rights in rows}


def find_uses(texts):
    """For each room the rooms that it includes, each with one place; and the includes that are wrong in themselves."""
    uses, complaints = {}, []
    for path, text in texts.items():
        room = os.path.dirname(path)
        found = uses.setdefault(room, {})
        for included in INCLUDE.findall(text):
            if included in GENERATED.get(room, ()):
                continue
            if included not in texts:
                complaints.append(f'{path}: "{included}" is no source of ours by its path from the root')
            elif os.path.dirname(included) != room:
                found.setdefault(os.path.dirname(included), f'{path}: "{included}"')
    return uses, complaints


def find_circle(rights):
    """Rooms that may use each other in a circle, or none."""
    done, path = set(), []

    def visit(room):
        if room in path:
            return path[path.index(room):] + [room]
        if room in done:
            return None
        done.add(room)
        path.append(room)
        for other in sorted(rights.get(room, ())):
            circle = visit(other)
            if circle:
                return circle
        path.pop()
        return None

    return next((circle for circle in map(visit, sorted(rights)) if circle), None)


def check_sizes(texts):
    sizes = {}
    for path, text in texts.items():
        room = os.path.dirname(path)
        sizes[room] = sizes.get(room, 0) + text.count('\n')
    total = sum(sizes.values())
    return [f'{room}/ is {100 * size / total:.1f} % of the code' for room, size in sizes.items() if size > LARGEST * total]


def check_rights(texts, rights):
    """The complaints about sources and a table."""
    uses, complaints = find_uses(texts)
    for room in sorted(uses.keys() | rights.keys()):
        if room not in rights or room not in uses:
            complaints.append(f'{room}/ is ' + ('no row of the table' if room in uses else 'no folder with sources'))
            continue
        complaints += [f'{uses[room][other]}: {room}/ may not use {other}/' for other in sorted(uses[room].keys() - rights[room])]
        complaints += [f'{room}/ may use {other}/, and does not' for other in sorted(rights[room] - uses[room].keys())]
    circle = find_circle(rights)
    return complaints + ([f'the table has a circle: {" -> ".join(circle)}'] if circle else [])


def self_check():
    """What is planted is found."""
    texts = {'base/a.h': '', 'ir/b.c': '#include "base/a.h"\n', 'ir/b.h': '', 'tools/c.c': '#include "ir/b.h"\n'}
    rights = {'base': set(), 'ir': {'base'}, 'tools': {'ir'}}

    def found(changed, table=rights):
        return '; '.join(check_rights({**texts, **changed}, table))

    planted = {
        '': found({}),
        'base/ may not use ir/': found({'base/a.h': '#include "ir/b.h"\n'}),
        'tools/ may not use base/': found({'tools/d.c': '#include "base/a.h"\n'}),
        'ir/ may use base/, and does not': found({'ir/b.c': ''}),
        'no source of ours': found({'ir/b.c': '#include "base/a.h"\n#include "a.h"\n'}),
        'new/ is no row': found({'new/e.c': ''}),
        'circle: base -> ir -> base': found({'base/a.h': '#include "ir/b.h"\n'}, {**rights, 'base': {'ir'}}),
    }
    wrong = [f'self-check: looked for "{says}", found "{said}"' for says, said in planted.items() if (says not in said) or (not says and said)]
    if check_sizes({'a/x.c': '\n' * 80, 'b/x.c': '\n' * 20}) != ['a/ is 80.0 % of the code']:
        wrong.append('self-check: a large room is not seen')
    if read_table('| `a/b/` | x, y | base, ir |\n| `c/` | z | - |\n') != {'a/b': {'base', 'ir'}, 'c': set()}:
        wrong.append('self-check: the table is not read')
    return wrong


def read_file(source, *path):
    with open(os.path.join(source, *path), encoding='utf-8') as file:
        return file.read()


def main():
    source = os.environ.get('NDARTS_SOURCE', os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    texts, rights = read_sources(source), read_table(read_file(source, 'docs', 'architecture.md'))
    complaints = self_check() + check_rights(texts, rights) + check_sizes(texts)
    readme = read_file(source, 'README.md')
    complaints += [f"README's map has no line for {room}/" for room in sorted(rights) if not re.search(rf'^\| .*`{room}/`.* \|', readme, re.MULTILINE)]
    print('\n'.join(complaints + [f'{len(texts)} files in {len(rights)} rooms, {len(complaints)} complaints']))
    sys.exit(1 if complaints or not texts else 0)


if __name__ == '__main__':
    main()

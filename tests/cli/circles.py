#!/usr/bin/env python3
"""Files do not call each other in a circle, and nothing is defined twice: reads from the libraries who defines and who wants each
function. A folder with a true recursion between its files is not looked through for circles."""
import os
import re
import subprocess
import sys

RECURSIVE = ('frontend', 'codegen/stages', 'runtime/exchange')
FOLDERS = ('base', 'ir', 'passes', 'codegen/plan', 'codegen/c', 'codegen/cuda', 'codegen', 'runtime/device', 'runtime/driver', 'runtime/data',
           'runtime/loops', 'runtime/report')


def read_symbols(library):
    """file -> (what it defines, what it wants)"""
    files = {}
    for line in subprocess.run(['nm', '-A', library], capture_output=True, text=True, check=True).stdout.splitlines():
        found = re.match(r'.*:([^:]+)\.o: *(?:[0-9a-f]+)? (\w) (\S+)$', line)
        if found:
            file, kind, name = found.groups()
            defined, wanted = files.setdefault(file, (set(), set()))
            (wanted if kind == 'U' else defined).add(name)
    return files


def library_of(folder):
    return os.path.join(os.environ.get('NDARTS_BUILD', '.'), 'libndarts_' + folder.replace('/', '_') + '.a')


def find_twins():
    """Functions and tables that two files define; the linker would take either."""
    homes = {}
    for folder in FOLDERS + RECURSIVE:
        lines = subprocess.run(['nm', '-A', '--extern-only', '--defined-only', library_of(folder)], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        for line in lines:
            homes.setdefault(line.split()[-1], []).append(f'{folder}/{line.split(":")[1]}')
    return [f'{name}: {", ".join(files)}' for name, files in sorted(homes.items()) if len(files) > 1]


def find_circle(calls, file, path, done):
    """The files of a circle that can be reached from file, or None."""
    if file in path:
        return path[path.index(file):] + [file]
    if file in done:
        return None
    for other in sorted(calls[file]):
        circle = find_circle(calls, other, path + [file], done)
        if circle:
            return circle
    done.add(file)
    return None


def main():
    wrong, count = find_twins(), 0
    for folder in FOLDERS:
        files = read_symbols(library_of(folder))
        home = {name: file for file, (defined, _) in files.items() for name in defined}
        calls = {file: {home[name] for name in wanted if name in home} - {file} for file, (_, wanted) in files.items()}
        count += len(files)
        done = set()
        circles = [find_circle(calls, file, [], done) for file in sorted(files)]
        wrong += [f'{folder.replace("_", "/")}/: ' + ' -> '.join(circle) for circle in circles if circle][:1]
    print('\n'.join(wrong + [f'{count} files, {len(wrong)} circles and twins']))
    sys.exit(1 if wrong or count < 50 else 0)


if __name__ == '__main__':
    main()

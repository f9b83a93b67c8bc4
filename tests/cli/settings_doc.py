#!/usr/bin/env python3
"""docs/settings.md holds the table of `ndartsc --list-settings`; every default is allowed, every setting means something."""
import os
import subprocess
import sys

source, build = os.environ['NDARTS_SOURCE'], os.environ['NDARTS_BUILD']
table = subprocess.run([os.path.join(build, 'bin', 'ndartsc'), '--list-settings'], check=True, text=True,
                       stdout=subprocess.PIPE).stdout
with open(os.path.join(source, 'docs', 'settings.md')) as file:
    document = file.read()
wrong = []
if not document.endswith('\n' + table):
    written = document.splitlines()
    wrong += [f'docs/settings.md has not: {line}' for line in table.splitlines() if line not in written]
    wrong.append('docs/settings.md does not end with the table of ndartsc --list-settings')


def is_allowed(kind, allowed, default):
    """Of a default that is a value."""
    if kind in ('int', 'real'):
        low, high = (float(end) for end in allowed[1:-1].split(','))
        value = (int if kind == 'int' else float)(default)
        return (value >= low if allowed[0] == '[' else value > low) and (value <= high if allowed[-1] == ']' else value < high)
    return kind == 'bool' and default in ('true', 'false') or default in allowed.split(', ')


rows = [[cell.strip() for cell in line.strip('| \n').split(' | ')] for line in table.splitlines()[2:]]
for key, kind, allowed, default, meaning in rows:
    depends = ' ' in default or default == 'none'
    if not meaning or not depends and not is_allowed(kind, allowed, default):
        wrong.append(f'{key}: the default {default} is not among {allowed}')
print('\n'.join(wrong) or f'{len(rows)} settings documented')
sys.exit(1 if wrong or len(rows) < 60 else 0)

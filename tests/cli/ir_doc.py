#!/usr/bin/env python3
"""docs/ir.md describes exactly the operations of ir/ops.def: a heading `### name` each, followed by every attribute."""
import os
import re
import sys

source = os.environ.get('NDARTS_SOURCE', os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
with open(os.path.join(source, 'ir/ops.def')) as file:
    rows = re.findall(r'^OP\((\w+),.*"([^"]*)"\)', file.read(), re.M)
with open(os.path.join(source, 'docs/ir.md')) as file:
    document = file.read()
chapter = document.split('\n## Operations\n')[1].split('\n## ')[0]
sections = {}
for part in re.split(r'^### ', chapter, flags=re.M)[1:]:
    heading, _, body = part.partition('\n')
    for name in heading.replace('`', '').split(','):
        sections[name.strip()] = body

wrong = []
for name, schema in rows:
    if name not in sections:
        wrong.append(f'docs/ir.md has no heading for the operation {name}')
        continue
    for attribute in re.findall(r'(\w+):', schema):
        if f'`{attribute}`' not in sections[name]:
            wrong.append(f'docs/ir.md: {name} does not mention its attribute `{attribute}`')
known = {name for name, _ in rows}
wrong += [f'docs/ir.md describes {name}, which is not in ir/ops.def' for name in sections if name not in known]
print('\n'.join(wrong) or f'{len(rows)} operations described')
sys.exit(1 if wrong or len(rows) < 40 else 0)

#!/usr/bin/env python3
"""Proves the layering by reading the includes: a folder includes only itself and the folders before it."""
import os
import re
import sys

LAYERS = ['base', 'ir', 'frontend', 'passes', 'codegen', 'runtime', 'lib', 'tools']
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
SUFFIXES = ('.c', '.h', '.y', '.l', '.def')
# Made by flex, bison and protoc-c, on the include path of one folder only.
GENERATED = {'frontend': {'parser.h', 'lexer.h'}, 'runtime': {'onnx.pb-c.h', 'tensorboard.pb-c.h'}}


def check_file(source, layer, path):
    """The complaints about one file."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    name = os.path.relpath(path, source)
    for included in INCLUDE.findall(text):
        folder = included.split('/')[0]
        if os.path.basename(included) in GENERATED.get(layer, ()):
            continue
        if '/' not in included or folder not in LAYERS:
            yield f'{name}: "{included}" is not a path from the root (folder/file)'
        elif LAYERS.index(folder) > LAYERS.index(layer):
            yield f'{name}: {layer}/ must not include {folder}/: "{included}"'
        elif not os.path.exists(os.path.join(source, included)):
            yield f'{name}: "{included}" does not exist'


def main():
    source = os.environ.get('NDARTS_SOURCE', os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    complaints, count = [], 0
    for layer in LAYERS:
        for folder, _, files in os.walk(os.path.join(source, layer)):
            for file in sorted(files):
                if file.endswith(SUFFIXES):
                    count += 1
                    complaints += check_file(source, layer, os.path.join(folder, file))
    print('\n'.join(complaints + [f'{count} files, {len(complaints)} wrong includes']))
    sys.exit(1 if complaints or not count else 0)


if __name__ == '__main__':
    main()

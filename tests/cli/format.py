#!/usr/bin/env python3
"""All C files are as the project's own .clang-format writes them."""
import os
import shutil
import subprocess
import sys

SKIPPED = 77
FOLDERS = ['base', 'ir', 'frontend', 'passes', 'codegen', 'runtime', 'lib', 'tools', 'bench', 'tests', 'docs']
ADVICE = '\nformat: clang-format -i changes the lines above'


def sources(source):
    for folder in FOLDERS:
        for path, _, files in os.walk(os.path.join(source, folder)):
            yield from (os.path.join(path, file) for file in sorted(files) if file.endswith(('.c', '.h')))


def main():
    formatter = shutil.which('clang-format')
    if not formatter:
        print('format: there is no clang-format')
        return SKIPPED
    found = list(sources(os.environ['NDARTS_SOURCE']))
    result = subprocess.run([formatter, '--dry-run', '-Werror', *found], stderr=subprocess.PIPE, text=True, check=False)
    print(result.stderr + ADVICE if result.returncode else f'{len(found)} files, all formatted')
    return 1 if result.returncode or not found else 0


if __name__ == '__main__':
    sys.exit(main())

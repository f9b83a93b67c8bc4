#!/usr/bin/env python3
"""Runs golden tests: command, input and exact output in one file.

    # RUN: ndarts-opt --pass=dce %s
    --- input
    graph @f ...
    --- output
    graph @f ...
    --- exit 0

A file holds one or more such sections, each begun by its RUN line (`# RUN:`, `// RUN:` or `; RUN:`); lines before the first
are comments. The command is one of bash with pipefail: what fails before a `| grep` fails. %s is a file with the input; `--- input NAME` makes a further file NAME in the folder where the command
runs. The output is stdout and stderr together, as a terminal would show them; the exit code is 0 unless given.

    golden.py [--update] FILE...     --update rewrites the expectations (read the difference like code)
"""
import os
import re
import subprocess
import sys
import tempfile

RUN = re.compile(r'^(?:#|//|;) RUN: (.*)$')
MARK = re.compile(r'^--- (input|output|exit)(?: (\S+))?$')


class Section:
    def __init__(self, command):
        self.command = command
        self.inputs = {}  # name or '' -> text
        self.output = ''
        self.exit = 0
        self.order = []  # the marks, to write them back in place


def parse(path, text):
    preamble, sections, target = [], [], None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        run, mark = RUN.match(line.rstrip('\n')), MARK.match(line.rstrip('\n'))
        if run:
            sections.append(Section(run.group(1)))
            target = None
        elif not sections:
            preamble.append(line)
        elif mark:
            target = add_mark(path, number, sections[-1], *mark.groups())
        elif target is not None:
            kind, name = target
            if kind == 'input':
                sections[-1].inputs[name] += line
            else:
                sections[-1].output += line
        elif line.strip():
            sys.exit(f'{path}:{number}: text outside of a section')
    if not sections:
        sys.exit(f'{path}: no RUN line')
    return ''.join(preamble), sections


def add_mark(path, number, section, kind, argument):
    if kind == 'exit':
        if argument is None or not argument.isdigit():
            sys.exit(f'{path}:{number}: --- exit needs a number')
        section.exit = int(argument)
        return None
    section.order.append((kind, argument or ''))
    if kind == 'input':
        section.inputs[argument or ''] = ''
    return kind, argument or ''


def render(preamble, sections):
    parts = [preamble]
    for section in sections:
        parts.append(f'# RUN: {section.command}\n')
        for kind, name in section.order:
            if kind == 'input':
                parts.append(f'--- input {name}'.rstrip() + '\n' + section.inputs[name])
        parts.append('--- output\n' + section.output)
        if section.output and not section.output.endswith('\n'):
            parts.append('\n')
        if section.exit:
            parts.append(f'--- exit {section.exit}\n')
    return ''.join(parts)


def run(section, build):
    environment = dict(os.environ, PATH=os.path.join(build, 'bin') + os.pathsep + os.environ['PATH'], LC_ALL='C')
    with tempfile.TemporaryDirectory(prefix='golden-') as folder:
        for name, text in section.inputs.items():
            path = os.path.join(folder, name or 'input')
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', newline='') as file:
                file.write(text)
        command = section.command.replace('%s', 'input')
        done = subprocess.run(['bash', '-o', 'pipefail', '-c', command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100)
        return done.stdout.decode(errors='backslashreplace').replace(folder + '/', ''), done.returncode


def show_difference(expected, found):
    import difflib
    for line in difflib.unified_diff(expected.splitlines(), found.splitlines(), 'expected', 'found', lineterm=''):
        print('    ' + line)


def check(path, build, update):
    with open(path, newline='') as file:
        text = file.read()
    preamble, sections = parse(path, text)
    failed = 0
    for section in sections:
        output, code = run(section, build)
        # The format ends every text with a newline.
        if output and not output.endswith('\n'):
            output += '\n'
        if update:
            section.output, section.exit = output, code
        elif output != section.output or code != section.exit:
            failed += 1
            print(f'{path}: FAILED: {section.command}')
            if code != section.exit:
                print(f'    expected exit code {section.exit}, found {code}')
            show_difference(section.output, output)
    if update:
        rewritten = render(preamble, sections)
        if rewritten != text:
            with open(path, 'w', newline='') as file:
                file.write(rewritten)
            print(f'{path}: rewritten')
    return failed


def main():
    arguments = sys.argv[1:]
    update = '--update' in arguments
    paths = [a for a in arguments if a != '--update']
    source = os.environ.get('NDARTS_SOURCE', os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    build = os.path.abspath(os.environ.get('NDARTS_BUILD', os.path.join(source, 'build')))
    os.environ['NDARTS_SOURCE'] = source
    os.environ['NDARTS_BUILD'] = build
    if not paths or any(a.startswith('-') for a in paths):
        sys.exit('usage: golden.py [--update] FILE...   (environment: NDARTS_BUILD, the build folder)')
    if not os.path.isdir(os.path.join(build, 'bin')):
        sys.exit(f'golden.py: no programs in {build}/bin; set NDARTS_BUILD')
    failed = sum(check(path, build, update) for path in paths)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()

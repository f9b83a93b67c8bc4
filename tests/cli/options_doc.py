#!/usr/bin/env python3
"""docs/cli.md and the table of options say the same: what a program's --help lists stands in the synopsis or the table of
options of its section, and nothing else does."""
import os
import re
import subprocess
import sys

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

SOURCE = os.environ['NDARTS_SOURCE']
PROGRAMS = os.path.join(os.environ['NDARTS_BUILD'], 'bin')
OPTION = re.compile(r'(?<![\w-])--?[A-Za-z][\w-]*')
EVERYWHERE = {'--help', '--version'}  # the introduction has them
AS_IN = re.compile(r'\| others \| as in `(.+?)`')
SHARED, SHARED_SECTION = '[options of networks]', 'Options of networks'


def sections(text):
    """The text of each section, by its title."""
    parts = re.split(r'^## (.+)\n', text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def documented(title, all_sections, own=True):
    """The options in the synopsis of a section and in the first column of its table; of another's (not own) without those rows that
    say `of a search:`."""
    body = all_sections[title]
    synopsis = re.match(r'\n((?:    .*\n)+)', body)
    if synopsis and SHARED in synopsis.group(1):
        return documented(SHARED_SECTION, all_sections) | documented(title, {title: body.replace(SHARED, '')})
    found = set(OPTION.findall(synopsis.group(1))) if synopsis else set()
    table = re.search(r'^\| option \| meaning \|\n(?:\|.*\n)+', body, re.MULTILINE)
    for row in table.group(0).splitlines()[2:] if table else ():
        cells = re.split(r'(?<!\\)\|', row)
        if own or not cells[2].startswith(' of a search:'):
            found |= set(OPTION.findall(cells[1]))
    other = AS_IN.search(body)
    return found | documented(other.group(1), all_sections, own=False) if other else found


def offered(title):
    """The options that --help lists."""
    program, *command = title.split()
    said = subprocess.run([os.path.join(PROGRAMS, program), *command, '--help'], stdout=subprocess.PIPE, text=True, check=True).stdout
    return set(re.findall(r'^  (--?[A-Za-z][\w-]*)', said, re.MULTILINE))


def commands():
    said = subprocess.run([os.path.join(PROGRAMS, 'ndarts-run'), 'help'], stdout=subprocess.PIPE, text=True, check=True).stdout
    return ['ndartsc', 'ndarts-opt'] + ['ndarts-run ' + name for name in re.findall(r'^  (\w+)', said, re.MULTILINE)]


def compare(title, all_sections):
    """The complaints about one command."""
    if title not in all_sections:
        return [f'docs/cli.md has no section "{title}"']
    here, there = offered(title) - EVERYWHERE, documented(title, all_sections) - EVERYWHERE
    return [f'{title}: {name} is not in its section of docs/cli.md' for name in sorted(here - there)] + \
           [f'{title}: docs/cli.md has {name}, which the program does not know' for name in sorted(there - here)]


def self_check():
    text = 'x\n## ndarts-run a\n\n    ndarts-run a [--one]\n\n| option | meaning |\n| --- | --- |\n| `--two N\\|M`, `-t` | as `--three` |\n' \
           '## ndarts-run b\n\n    ndarts-run b -o X\n\n| option | meaning |\n| --- | --- |\n| others | as in `ndarts-run a` |\n'
    assert documented('ndarts-run a', sections(text)) == {'--one', '--two', '-t'}
    assert documented('ndarts-run b', sections(text)) == {'-o', '--one', '--two', '-t'}


def main():
    self_check()
    with open(os.path.join(SOURCE, 'docs', 'cli.md'), encoding='utf-8') as file:
        text = file.read()
    all_sections = sections(text)
    titles = commands()
    complaints = [line for title in titles for line in compare(title, all_sections)]
    complaints += [f'the introduction of docs/cli.md lacks {name}' for name in EVERYWHERE if name not in text.split('\n## ')[0]]
    print('\n'.join(complaints + [f'{len(titles)} commands, {len(complaints)} differences']))
    return 1 if complaints or len(titles) < 10 else 0


if __name__ == '__main__':
    sys.exit(main())

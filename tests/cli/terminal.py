#!/usr/bin/env python3
"""ndarts-run search on a terminal: a bar on one line that is never wider than the terminal, Ctrl-C from the keyboard saves and exits
with 130, also while compiling; and plain lines when there is no terminal."""
import fcntl
import glob
import os
import pty
import re
import stat
import struct
import sys
import termios

import _run
from _run import RUN, expect, run

SPEC = '''import "darts.nd"
search {
    space darts   network cifar_search(C=2, layers=3)
    data synthetic(limit=480, H=8, W=8, classes=4)
    epochs EPOCHS  batch 8  seed 5
}
'''
CONTROL_C = b'\x03'


class Terminal:
    """A program on a terminal of so many columns."""

    def __init__(self, columns, *arguments, **environment):
        self.process, self.file = pty.fork()
        if self.process == 0:
            os.environ.update(environment)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
            os.execv(arguments[0], arguments)
        self.said = b''

    def read_until(self, pattern=None):
        """All output up to a pattern, or to the end."""
        while pattern is None or not re.search(pattern, self.said):
            try:
                part = os.read(self.file, 65536)
            except OSError:  # its other side is closed
                part = b''
            if not part:
                expect(pattern is None, f'no {pattern} in: {self.said.decode()}')
                break
            self.said += part
        return self.said.decode()

    def type(self, keys):
        os.write(self.file, keys)

    def exit_code(self):
        said = self.read_until()
        code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        os.close(self.file)
        return code, said


def bars(said):
    return re.findall('\r\x1b\\[K(epoch[^\r]*)(?=\r\x1b)', said)


def search_in(columns):
    terminal = Terminal(columns, RUN, 'search', 'three.nd', '--out', f'bar{columns}', '--threads', '1')
    code, said = terminal.exit_code()
    expect(code == 0, said)
    found = bars(said)
    expect(len(found) >= 3, f'no bar in: {said}')
    wide = [bar for bar in found if len(bar) >= columns]
    expect(not wide, f'wider than {columns} columns: {wide}')
    return found, said


def test_bar_fits_the_terminal():
    wide, said = search_in(120)
    expect(re.search(r'^epoch 1/3 \[=*>? *\] \d+/30  \d+ images/s  loss \d\.\d{4}  accuracy \d+\.\d\d %  \d+:\d\d left$', wide[0]), wide[0])
    expect('\r\x1b[Kepoch 1/3: train loss' in said, 'the bar is not cleared before a line')
    medium, _ = search_in(80)
    expect(re.search(r'^epoch 1/3 \[=*>? *\] \d+/30  \d+ img/s  loss \d\.\d{3}  acc \d+\.\d %  \d+:\d\d left$', medium[0]), medium[0])
    narrow, _ = search_in(30)
    expect(narrow[0].startswith('epoch 1/3 '), narrow[0])


def test_plain_lines_elsewhere():
    _, said = run(RUN, 'search', 'three.nd', '--out', 'plain', '--threads', '1')
    expect('\r' not in said and '\x1b' not in said, said)
    expect(len(re.findall('^epoch [123]/3: train loss', said, re.M)) == 3, said)


def test_control_c():
    terminal = Terminal(80, RUN, 'search', 'long.nd', '--out', 'stopped', '--threads', '1')
    terminal.read_until(rb'epoch 1/\d+ \[')
    terminal.type(CONTROL_C)
    code, said = terminal.exit_code()
    expect(code == 130 and 'saved in stopped; --resume goes on' in said, f'exit code {code}: {said}')
    expect(os.path.exists('stopped/checkpoint.safetensors'), 'no checkpoint')


def test_control_c_while_compiling():
    """The compiler has the same terminal and ends too; nothing stays behind in the cache."""
    with open('slow-cc', 'w', encoding='utf-8') as file:
        file.write('#!/bin/sh\n[ "$1" = --version ] && echo slow 1.0 && exit 0\ntouch started\nexec sleep 100\n')
    os.chmod('slow-cc', stat.S_IRWXU)
    terminal = Terminal(80, RUN, 'search', 'long.nd', '--out', 'never', CC='./slow-cc', XDG_CACHE_HOME=os.path.abspath('cache'))
    terminal.read_until(b'compiling long.nd')
    while not os.path.exists('started'):
        os.sched_yield()
    terminal.type(CONTROL_C)
    code, said = terminal.exit_code()
    expect(code == 130 and 'there is nothing to save' in said, f'exit code {code}: {said}')
    left = glob.glob('cache/ndarts/*')
    expect(not left, f'left behind: {left}')


def main():
    tests = [test_bar_fits_the_terminal, test_plain_lines_elsewhere, test_control_c, test_control_c_while_compiling]

    def with_texts(test):
        def body():
            _run.write('three.nd', SPEC.replace('EPOCHS', '3'))
            _run.write('long.nd', SPEC.replace('EPOCHS', '3000'))
            test()
        body.__name__ = test.__name__
        return body
    return _run.main([with_texts(test) for test in tests])


if __name__ == '__main__':
    sys.exit(main())

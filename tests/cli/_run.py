"""What the tests of long-running commands share: running a program, interrupting it, comparing its results."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

BUILD = os.environ['NDARTS_BUILD']
SOURCE = os.environ['NDARTS_SOURCE']
RUN = os.path.join(BUILD, 'bin', 'ndarts-run')
COMPILER = os.path.join(BUILD, 'bin', 'ndartsc')


class Failure(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


def run(*arguments, code=0, says='', **options):
    """Runs a program to its end; returns stdout and stderr."""
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=500, check=False,
                          **options)
    shown = f'{" ".join(arguments)}\nexit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}'
    expect(done.returncode == code, shown)
    expect(says in done.stderr, f'{shown}\nexpected in stderr: {says}')
    return done.stdout, done.stderr


def interrupt(line, delay, *arguments):
    """Starts a program, sends SIGINT `delay` seconds after `line` was printed; returns what it said."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace')
    said = ''
    for text in process.stderr:
        said += text
        if line in text:
            break
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    said += process.stderr.read()
    expect(process.wait(timeout=300) == 130, f'interrupted: exit code {process.returncode}\n{said}')
    expect('--resume goes on' in said, said)
    return said


def read(*path):
    with open(os.path.join(*path), 'rb') as file:
        return file.read()


def write(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def expect_same(first, second, names):
    for name in names:
        expect(read(first, name) == read(second, name), f'{first}/{name} and {second}/{name} differ')


def lines_of(*path):
    return [json.loads(line) for line in read(*path).decode().splitlines()]


def main(tests, thorough=()):
    """Runs the tests (those named on the command line, or all; the thorough ones not where tests are to be short) in a folder of their own."""
    if 'NDARTS_SHORT' not in os.environ:
        tests = [*tests, *thorough]
    folder = tempfile.mkdtemp(prefix='ndarts-test-')
    os.chdir(folder)
    failed = 0
    for test in tests:
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        started = time.time()
        try:
            test()
            print(f'ok      {test.__name__} ({time.time() - started:.1f} s)', flush=True)
        except (Failure, OSError, subprocess.TimeoutExpired, ValueError, KeyError) as failure:
            failed += 1
            print(f'FAILED  {test.__name__}: {failure}', flush=True)
    os.chdir('/')
    shutil.rmtree(folder)
    return 1 if failed else 0

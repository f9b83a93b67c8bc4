#!/usr/bin/env python3
"""A run is asked to end in many ways: it saves, exits with 130, and goes on later with the same bits. Who reads its messages may go
away. Other commands end at once and leave nothing half-written."""
import os
import pty
import signal
import stat
import subprocess
import sys
import time

from _run import RUN, expect, expect_same, main, read, run, write

SEARCH = '''import "darts.nd"
search {
    space darts   network cifar_search(C=2, layers=3)
    data synthetic(limit=400, H=8, W=8, classes=4)
    epochs 4  batch 8  seed 5
}
'''
TRAIN = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=2, layers=2)
    data synthetic(limit=2000, H=8, W=8, classes=4)
    epochs 4  batch 8  seed 5
    weights sgd(lr = 0.01)
}
'''
ONE = ('--threads', '1')
LONG = (*ONE, '--set', 'epochs=1000000')
SAME = {'search': ('checkpoint.safetensors', 'metrics.jsonl', 'alphas.jsonl', 'genotype.nd'),
        'train': ('checkpoint.safetensors', 'metrics.jsonl', 'result.json', 'best.safetensors')}


def start(command, out, *options, line='epoch 1/', **more):
    """A run that has said such a line."""
    process = subprocess.Popen([RUN, command, f'{command}.nd', '--out', out, *ONE, *options], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, **more)
    for text in process.stderr:
        if text.startswith(line):
            return process
    raise OSError('the run ended')


def ends(process, code, says=''):
    said = process.stderr.read()
    expect(process.wait(timeout=100) == code and says in said, f'exit code {process.returncode}, expected {code}: {said}')


def resumes(command, out):
    run(RUN, command, f'{command}.nd', '--out', out, *ONE, '--resume')
    expect_same(f'whole-{command}', out, SAME[command])


def test_every_request_saves():
    """With NDARTS_SHORT each kind of request of one command."""
    signals = {'search': (signal.SIGINT, signal.SIGHUP), 'train': (signal.SIGTERM, signal.SIGXCPU)}
    for command, own in signals.items():
        run(RUN, command, f'{command}.nd', '--out', f'whole-{command}', *ONE)
        for number in own if 'NDARTS_SHORT' in os.environ else sum(signals.values(), ()):
            out = f'{command}-{number.name}'
            process = start(command, out, line='epoch 2/')
            process.send_signal(number)
            ends(process, 130, f'saved in {out}; --resume goes on')
            resumes(command, out)


def test_ignored_hangup_is_none():
    """As nohup starts it."""
    process = start('search', 'nohup', preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
    ends(process, 0, 'results are in nohup')
    expect_same('whole-search', 'nohup', SAME['search'])


def test_one_request_told_twice():
    for name, numbers in (('hup', [signal.SIGHUP] * 3), ('mixed', [signal.SIGTERM, signal.SIGHUP]), ('twice', [signal.SIGTERM] * 2)):
        process = start('train', name)
        for number in numbers:
            process.send_signal(number)
        ends(process, 130, f'saved in {name}')
        resumes('train', name)
    # timeout tells the process, and then its group.
    done = subprocess.run(['timeout', '1', RUN, 'train', 'train.nd', '--out', 'timeout', *LONG], capture_output=True, text=True)
    expect(done.returncode == 124 and 'saved in timeout' in done.stderr, done.stderr)


def test_second_request_ends_at_once():
    """Here while a compiler does not come to an end, of which only the process itself is asked to stop."""
    write('slow-cc', '#!/bin/sh\n[ "$1" = --version ] && echo slow 1.0 && exit 0\necho $$ >> compilers\nexec sleep 100\n')
    os.chmod('slow-cc', stat.S_IRWXU)
    environment = {**os.environ, 'CC': './slow-cc', 'XDG_CACHE_HOME': os.path.abspath('cache')}
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGHUP, signal.SIGINT)):
        process = start('search', 'never', line='compiling', env=environment)
        while not os.path.exists('compilers'):
            time.sleep(0.01)
        process.send_signal(first)
        time.sleep(0.5)
        expect(process.poll() is None, 'the first request ends it at once')
        process.send_signal(second)
        expect(process.wait(timeout=20) == -second, process.returncode)
        process.stderr.close()
        for compiler in read('compilers').split():
            try:
                os.kill(int(compiler), signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.remove('compilers')
    expect(sorted(os.listdir('never')) == ['.lock'], os.listdir('never'))


def test_while_the_last_images_are_evaluated():
    """All epochs are done, and what is left takes long: that ends too, and is done again."""
    options = ('--set', 'hold_out=0.1', '--set', 'epochs=1', '--set', 'data.limit=30000')
    run(RUN, 'train', 'train.nd', '--out', 'evaluated', *ONE, *options)
    process = start('train', 'evaluating', *options)
    process.send_signal(signal.SIGTERM)
    ends(process, 130, 'all epochs are saved in evaluating; --resume goes on')
    expect(not os.path.exists('evaluating/result.json'), 'there is a result')
    run(RUN, 'train', 'train.nd', '--out', 'evaluating', *ONE, *options, '--resume')
    expect_same('evaluated', 'evaluating', SAME['train'])


def test_stopped_and_continued():
    process = start('train', 'suspended')
    for _ in range(5):
        process.send_signal(signal.SIGTSTP)
        time.sleep(0.02)
        process.send_signal(signal.SIGCONT)
    ends(process, 0)
    expect_same('whole-train', 'suspended', SAME['train'])


# ---- readers ----

def test_reader_of_messages_goes_away():
    for command in ('search', 'train'):
        process = start(command, f'unread-{command}', line='compiling')
        process.stderr.close()
        expect(process.wait(timeout=100) == 0, process.returncode)
        expect_same(f'whole-{command}', f'unread-{command}', SAME[command])
    process = start('train', 'unread-stop', *LONG)
    process.stderr.close()
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    expect(process.wait(timeout=100) == 130, process.returncode)
    resumed = subprocess.run([RUN, 'train', 'train.nd', '--out', 'unread-stop', '--resume', '--set', 'epochs=1'], capture_output=True, text=True)
    expect('train.epochs is 1 here, 1000000 in the checkpoint' in resumed.stderr, resumed.stderr)


def test_reader_of_results_goes_away():
    """stdout cannot be written, which is said; the results are in the folder all the same."""
    for command in ('search', 'train'):
        process = subprocess.Popen([RUN, command, f'{command}.nd', '--out', f'deaf-{command}', *ONE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.close()
        ends(process, 2, f'results are in deaf-{command}')
        expect_same(f'whole-{command}', f'deaf-{command}', SAME[command])


def test_control_c_for_a_pipe():
    """`ndarts-run ... 2>&1 | tee log`: both get it."""
    process = subprocess.Popen([RUN, 'search', 'search.nd', '--out', 'teed', *LONG], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               preexec_fn=os.setpgrp)
    tee = subprocess.Popen(['tee', 'log'], stdin=process.stdout, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.setpgid(0, process.pid))
    process.stdout.close()
    while not os.path.exists('log') or b'epoch 1/' not in read('log'):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    expect(process.wait(timeout=100) == 130, process.returncode)
    tee.wait(timeout=100)


def test_terminal_is_closed():
    process, terminal = pty.fork()
    if process == 0:
        try:
            os.execv(RUN, [RUN, 'train', 'train.nd', '--out', 'closed', *LONG])
        finally:
            os._exit(127)
    said = b''
    while b'epoch 2/' not in said:
        said += os.read(terminal, 65536)
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    expect(code == 130, f'exit code {code}')


# ---- other commands ----

def test_other_commands_end_at_once():
    before = set(os.listdir('.'))
    process = subprocess.Popen([RUN, 'tune', 'train.nd', '--tune', 'tune.json'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    expect(process.wait(timeout=20) == -signal.SIGINT, process.returncode)
    expect(set(os.listdir('.')) == before, set(os.listdir('.')) - before)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([RUN, 'derive', 'whole-search/checkpoint.safetensors'], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    expect(done.returncode in (2, -signal.SIGPIPE), done.returncode)


def prepare():
    write('search.nd', SEARCH)
    write('train.nd', TRAIN)


if __name__ == '__main__':
    sys.exit(main([prepare, test_every_request_saves, test_ignored_hangup_is_none, test_one_request_told_twice,
                   test_second_request_ends_at_once, test_while_the_last_images_are_evaluated, test_stopped_and_continued, test_reader_of_messages_goes_away,
                   test_reader_of_results_goes_away, test_control_c_for_a_pipe, test_terminal_is_closed,
                   test_other_commands_end_at_once]))

#!/usr/bin/env python3
"""A run's folder: one process at a time; a new run sets aside what is there and loses nothing, wherever it is killed; what killed
processes left half-written goes; files of the user stay."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from _run import RUN, expect, expect_same, lines_of, main, read, run, write

SEARCH = '''import "darts.nd"
search {
    space darts   network cifar_search(C=2, layers=3)
    data synthetic(limit=32, H=8, W=8, classes=4)
    epochs 2  batch 8  seed 5
}
'''
TRAIN = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=2, layers=2)
    data synthetic(limit=32, H=8, W=8, classes=4)
    epochs 2  batch 8  seed 5  hold_out 0.25
    weights sgd(lr = 0.01)
}
'''
LONG = ('--threads', '1', '--set', 'epochs=1000000')
# Ends the process at call number KILL_AT of those that change folders.
KILLER = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static pid_t self;
__attribute__((constructor)) static void begin(void) { self = getpid(); }
static void count(void) { /* a child's are its own */
    static int calls;
    const char *at = getenv("KILL_AT");
    if (at && getpid() == self && ++calls == atoi(at))
        kill(self, SIGKILL);
}
int rename(const char *a, const char *b) { count(); return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(a, b); }
int mkdir(const char *a, mode_t m) { count(); return ((int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir"))(a, m); }
int rmdir(const char *a) { count(); return ((int (*)(const char *))dlsym(RTLD_NEXT, "rmdir"))(a); }
int unlink(const char *a) { count(); return ((int (*)(const char *))dlsym(RTLD_NEXT, "unlink"))(a); }
'''


def once(command, out, *options, **more):
    return run(RUN, command, f'{command}.nd', '--out', out, '--threads', '1', *options, **more)


class Running:
    """A run that does not end by itself, in its first epochs."""

    def __init__(self, command, out, *options):
        self.process = subprocess.Popen([RUN, command, f'{command}.nd', '--out', out, *LONG, *options], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.said = ''
        for line in self.process.stderr:
            self.said += line
            if line.startswith('epoch 1/'):
                return
        expect(False, f'ended: {self.said}')

    def end(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.said += self.process.stderr.read()
        return self.process.wait(timeout=100)


def results(folder):
    """Contents of the files that a run wrote, by name; no folders, no lock."""
    return {name: read(folder, name) for name in os.listdir(folder) if os.path.isfile(f'{folder}/{name}') and name != '.lock'}


def aside(folder):
    return sorted(f'{folder}/{name}' for name in os.listdir(folder) if name.startswith('earlier-'))


# ---- one process at a time ----

def test_second_run_is_refused():
    first = Running('search', 'shared', '--set', 'data.limit=4000')
    for command, *options in (('search', '--seed', '6'), ('search', '--resume'), ('train',), ('train', '--seeds', '0..1')):
        said = once(command, 'shared', *options, code=1)[1]
        expect(re.search(rf"'shared' is in use by process {first.pid} on \S+, since \d+-\d+-\d+ [\d:]+; .*--out", said), said)
        expect('compiling' not in said, said)
    while not os.path.exists('shared/alphas.jsonl'):
        expect(first.process.poll() is None, 'ended')
        time.sleep(0.1)
    # Who reads only may: whole files, whenever.
    for _ in range(5):
        run(RUN, 'derive', 'shared/checkpoint.safetensors')
        run(RUN, 'derive', 'shared/alphas.jsonl')
    run(RUN, 'report', 'shared', '-o', 'shared.html')
    expect(first.end(signal.SIGINT) == 130, first.said)
    epochs = [line['epoch'] for line in lines_of('shared', 'metrics.jsonl')]
    expect(epochs == list(range(len(epochs))), epochs)
    expect(0 < len(epochs) < 500, f'{len(epochs)} epochs')


def test_seeds_share_a_folder():
    first = Running('train', 'seeds', '--seeds', '3,4')
    for out, *options in (('seeds',), ('seeds', '--seeds', '7'), ('seeds/seed-3',), ('seeds/../seeds/seed-3', '--resume')):
        once('train', out, *options, code=1, says=f'is in use by process {first.pid} ')
    expect(not os.path.exists('seeds/seed-7'), 'a seed was begun')
    alone = Running('train', 'seeds/seed-4')
    first.end()
    once('train', 'seeds', '--seeds', '5', code=1, says=f"'seeds/seed-4' is in use by process {alone.pid} ")
    expect(not aside('seeds') and os.path.exists('seeds/seed-3/run.json'), 'set aside, at least in part')
    alone.end()


def test_killed_run_leaves_no_lock():
    first = Running('train', 'killed')
    first.end()
    once('train', 'killed', '--resume', *LONG[2:], '--set', 'epochs=1', code=1, says='is of another training: train.epochs')
    once('train', 'killed')
    expect_same('killed', 'killed', ['result.json'])


def test_a_lock_that_is_a_link():
    """A folder from elsewhere does not make a run write out of it."""
    os.mkdir('linked')
    write('precious', 'mine')
    os.symlink('../precious', 'linked/.lock')
    once('train', 'linked', code=1, says='linked/.lock')
    expect(read('precious') == b'mine', 'written through the link')


# ---- earlier results ----

def test_earlier_results_are_set_aside():
    once('search', 'again')
    write('again/notes.txt', 'mine')
    write('again/s.nd', SEARCH)
    first = results('again')
    first.pop('notes.txt'), first.pop('s.nd')
    _, said = once('search', 'again', '--seed', '6')
    kept = aside('again')
    expect(len(kept) == 1 and f'what earlier runs left in again is now in {kept[0]}\n' in said, said)
    expect(results(kept[0]) == first, f'{sorted(results(kept[0]))}, expected {sorted(first)}')
    expect(read('again', 'notes.txt') == b'mine' and read('again', 's.nd').decode() == SEARCH, "the user's files")
    once('search', 'again', '--seed', '7')  # within the same second, perhaps
    expect(len(aside('again')) == 2 and results(kept[0]) == first, aside('again'))
    # What was set aside is a run like any other.
    os.rename(kept[0], 'moved')
    once('search', 'moved', '--resume')
    moved = results('moved')
    expect(all(moved[name] == first[name] for name in first if name != 'genotype.nd'), 'the moved run is another one')


def test_stopped_at_once_loses_nothing():
    once('train', 'stopped')
    first = results('stopped')
    for _ in range(2):
        Running('train', 'stopped').end(signal.SIGINT)
    found = [results(folder) for folder in aside('stopped')]
    expect(first in found and len(found) == 2, [sorted(f) for f in found])
    once('search', 'stopped')  # another command, in the same folder
    expect(len(aside('stopped')) == 3 and not os.path.exists('stopped/best.safetensors'), os.listdir('stopped'))


def test_mistakes_touch_nothing():
    """Only a run that is ready for its first step sets anything aside."""
    once('train', 'safe')
    first = results('safe')
    for options in (('--set', 'classes=x'), ('--set', 'data.source=cifar10', '--set', 'data.path="nowhere"'), ('--init', 'nowhere'),
                    ('--device', 'none')):
        once('train', 'safe', *options, code=1)
    run(RUN, 'train', 'train.nd', '--out', 'safe', '--threads', '1', '--set', 'C=3', code=2, env={**os.environ, 'CC': 'false'})
    expect(results('safe') == first and not aside('safe'), os.listdir('safe'))


def test_seeds_are_set_aside_together():
    once('train', 'many', '--seeds', '0..2')
    first = {seed: results(f'many/seed-{seed}') for seed in range(3)}
    summary = read('many', 'summary.json')
    second = Running('train', 'many', '--seeds', '1..2')
    second.end()
    kept = aside('many')
    expect(len(kept) == 1 and read(kept[0], 'summary.json') == summary, os.listdir('many'))
    expect(all(results(f'{kept[0]}/seed-{seed}') == first[seed] for seed in range(3)), 'a seed is another one')
    expect(not os.path.exists('many/seed-0') and not os.path.exists('many/summary.json'), 'old and new seeds side by side')
    again, _ = run(RUN, 'train', 'train.nd', '--out', kept[0], '--threads', '1', '--seeds', '0..2', '--resume')
    expect(read(kept[0], 'summary.json') == summary and 'deviation' in again, again)
    once('train', 'many')  # one alone, where there were several
    expect(len(aside('many')) == 2 and not os.path.exists('many/seed-1'), os.listdir('many'))


def everything(folder):
    """All files under a folder, by name without the folder of what was set aside."""
    found = {}
    for place, _, files in os.walk(folder):
        for name in files:
            key = re.sub(r'(^|/)earlier-[^/]*', r'\1', os.path.relpath(f'{place}/{name}', folder)).lstrip('/')
            found.setdefault(key, []).append(read(place, name))
    return found


def kill_everywhere(command, options, resume):
    """Kills a second run at every change of the folder: the first one is there as a whole, in OUT or aside, and goes on."""
    shutil.rmtree('first', ignore_errors=True)
    once(command, 'first', *options)
    kept = everything('first')
    kept = {name: data[0] for name, data in kept.items() if not name.endswith('.lock')}
    asides = 0
    for at in range(1, 400):
        shutil.rmtree('out', ignore_errors=True)
        shutil.copytree('first', 'out')
        done = subprocess.run([RUN, command, f'{command}.nd', '--out', 'out', '--threads', '1', *options, '--set', 'epochs=1'],
                              env={**os.environ, 'LD_PRELOAD': './killer.so', 'KILL_AT': str(at)}, capture_output=True, text=True)
        expect(done.returncode in (0, -signal.SIGKILL), f'kill {at}: {done.stderr}')
        for name, data in kept.items():
            expect(data in everything('out').get(name, []), f'kill {at}: {name} is lost')
        if done.returncode == 0:
            break
        done = subprocess.run([RUN, command, f'{command}.nd', '--out', 'out', '--threads', '1', *options, '--resume'],
                              capture_output=True, text=True)
        there = resume(done)
        if there:
            found = everything('out')
            expect(all(found[name] == [data] for name, data in kept.items()), f'kill {at}: resumed, but not the first run')
        else:
            expect(len(aside('out')) == 1 and not aside('out')[0].endswith('.unfinished'), f'kill {at}: {os.listdir("out")}')
        left = [name for name in everything('out') if name.endswith('.tmp')]
        expect(not left or not there, f'kill {at}: left behind: {left}')
        asides += not there
    expect(done.returncode == 0 and at > 10 and asides > 0, f'{at} places, {asides} after setting aside')


def one_resumed(done):
    """Whether the first run was resumed; else there is the second one's checkpoint, or none."""
    if done.returncode == 0:
        return True
    expect(done.returncode == 1, done.stderr)
    expect("an earlier run is in 'out/earlier-" in done.stderr or 'epochs is 2 here, 1 in the checkpoint' in done.stderr, done.stderr)
    return False


def test_killed_while_setting_aside():
    kill_everywhere('train', (), one_resumed)


def test_killed_while_setting_seeds_aside():
    """Resumed after all was set aside, a seed that had not begun begins: with a folder of its own, nothing is overwritten."""
    def resumed(done):
        expect(done.returncode in (0, 1), done.stderr)
        return not aside('out')
    kill_everywhere('train', ('--seeds', '0..1', '--set', 'data.limit=16'), resumed)


def test_set_aside_that_cannot_be_undone():
    once('train', 'torn')
    os.mkdir('torn/earlier-2026-01-01-000000.unfinished')
    shutil.copy('torn/run.json', 'torn/earlier-2026-01-01-000000.unfinished/run.json')
    once('train', 'torn', '--resume', code=1, says="cannot be put back: there is a 'torn/run.json' too")
    os.remove('torn/run.json')
    once('train', 'torn', '--resume')
    expect(os.path.exists('torn/run.json') and not aside('torn'), os.listdir('torn'))


# ---- what killed processes left ----

def test_half_written_files_go():
    once('train', 'left')
    dead = ['checkpoint.safetensors.4711-0.tmp', 'metrics.jsonl.1-12.tmp', 'run.json.99999999-3.tmp', 'checkpoint.trial.safetensors',
            'checkpoint.trial.safetensors.4711-0.tmp', 'report.html.99999999-0.tmp']
    other = ['notes.tmp', 'mine.4711-0.tmp', 'checkpoint.safetensors.tmp', 'run.json.x-1.tmp', 'run.json.1-x.tmp', '.4711-0.tmp',
             f'report.html.{os.getpid()}-0.tmp']
    for name in dead + other:
        write(f'left/{name}', 'x')
    once('train', 'left', '--resume')
    names = os.listdir('left')
    expect(not set(dead) & set(names), sorted(names))
    expect(set(other) <= set(names), sorted(names))


def prepare():
    write('search.nd', SEARCH)
    write('train.nd', TRAIN)
    write('killer.c', KILLER)
    run('cc', '-shared', '-fPIC', 'killer.c', '-o', 'killer.so', '-ldl')


if __name__ == '__main__':
    sys.exit(main([prepare, test_second_run_is_refused, test_seeds_share_a_folder, test_killed_run_leaves_no_lock,
                   test_a_lock_that_is_a_link, test_earlier_results_are_set_aside, test_stopped_at_once_loses_nothing,
                   test_mistakes_touch_nothing, test_seeds_are_set_aside_together, test_killed_while_setting_aside,
                   test_set_aside_that_cannot_be_undone, test_half_written_files_go],
                  thorough=[test_killed_while_setting_seeds_aside]))

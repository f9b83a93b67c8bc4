#!/usr/bin/env python3
"""Ranks on several hosts: network namespaces, each with a name and an address of its own, on one switch. The same bits as one process
from two and four of them; a link that is cut ends the run, and the checkpoint is whole. Needs root, ip and MPI."""
import os
import shutil
import stat
import subprocess
import sys
import time

from _run import BUILD, RUN, expect, expect_same, main, run, write
from ranks import SEARCH, SEARCHED

NAME = f'ndarts{os.getpid()}'
MOST = 4
# Of the wires between mpirun and its daemons: it is asked every two seconds, three times, whether the other end is there.
OPTIONS = ('--mca plm_rsh_no_tree_spawn 1 --mca btl self,tcp --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 '
           '--mca oob_tcp_keepalive_time 4 --mca oob_tcp_keepalive_intvl 2 --mca oob_tcp_keepalive_probes 3')


def ip(*arguments):
    subprocess.run(('ip', *arguments), check=True, capture_output=True)


def add_hosts():
    """A bridge in a namespace of its own, with a wire to each host."""
    ip('netns', 'add', f'{NAME}hub')
    ip('-n', f'{NAME}hub', 'link', 'add', 'hub', 'type', 'bridge')
    ip('-n', f'{NAME}hub', 'link', 'set', 'hub', 'up')
    for i in range(1, MOST + 1):
        ip('netns', 'add', f'{NAME}h{i}')
        ip('link', 'add', 'wire', 'netns', f'{NAME}h{i}', 'type', 'veth', 'peer', 'name', f'w{i}', 'netns', f'{NAME}hub')
        ip('-n', f'{NAME}hub', 'link', 'set', f'w{i}', 'master', 'hub', 'up')
        ip('-n', f'{NAME}h{i}', 'addr', 'add', f'10.77.0.{i}/24', 'dev', 'wire')
        ip('-n', f'{NAME}h{i}', 'link', 'set', 'wire', 'up')
        ip('-n', f'{NAME}h{i}', 'link', 'set', 'lo', 'up')


def remove_hosts():
    for place in ['hub'] + [f'h{i}' for i in range(1, MOST + 1)]:
        subprocess.run(('ip', 'netns', 'del', NAME + place), check=False, capture_output=True)


def add_agent():
    """What mpirun calls in place of ssh: AGENT 10.77.0.2 COMMAND..."""
    write('agent', f'#!/bin/sh\nhost={NAME}h${{1##*.}}\nshift\nexec ip netns exec "$host" unshare -u sh -c "hostname $host; $*"\n')
    os.chmod('agent', stat.S_IRWXU)


def on_hosts(count, *arguments):
    """The command line of a search with a rank on each of the hosts, started on the first."""
    hosts = ','.join(f'10.77.0.{i}' for i in range(1, count + 1))
    folder = os.getcwd()
    command = f'mpirun --host {hosts} -n {count} --mca plm_rsh_agent {folder}/agent {OPTIONS} --wdir {folder} {RUN} {" ".join(arguments)} --threads 1'
    return ('ip', 'netns', 'exec', f'{NAME}h1', 'unshare', '-u', 'sh', '-c', f'hostname {NAME}h1; exec {command}')


def test_hosts():
    write('search.nd', SEARCH)
    run(RUN, 'search', 'search.nd', '--out', 'one', '--threads', '1')
    for count in (2, MOST):
        run(*on_hosts(count, 'search', 'search.nd', '--out', f'hosts{count}'))
        expect_same('one', f'hosts{count}', SEARCHED)


def test_a_link_is_cut():
    write('long.nd', SEARCH.replace('epochs 2', 'epochs 4000'))
    process = subprocess.Popen(on_hosts(2, 'search', 'long.nd', '--out', 'cut'), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.time() + 200
    while time.time() < until and not (os.path.exists('cut/metrics.jsonl') and os.path.getsize('cut/metrics.jsonl')):
        time.sleep(0.05)
    ip('-n', f'{NAME}h2', 'link', 'set', 'wire', 'down')
    try:
        said = process.communicate(timeout=30)[0]
    finally:
        process.kill()
    expect(process.returncode and 'lost communication' in said and '10.77.0.2' in said, said)
    epochs = open('cut/metrics.jsonl', encoding='utf-8').read().count('\n')
    write('long.nd', SEARCH.replace('epochs 2', f'epochs {epochs + 1}'))
    run(RUN, 'search', 'long.nd', '--out', 'cut', '--resume', '--threads', '1', '--allow-different-build', says='resuming in epoch')


if __name__ == '__main__':
    os.environ.update(NDARTS_CFLAGS='-O0', OMPI_ALLOW_RUN_AS_ROOT='1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1')
    has_mpi = shutil.which('mpirun') and os.path.exists(os.path.join(BUILD, 'bin', 'libndarts_mpi.so'))
    try:
        add_hosts()
    except (OSError, subprocess.CalledProcessError) as problem:
        remove_hosts()
        print(f'skipped: no network namespaces here ({problem})')
        sys.exit(77)
    if not has_mpi:
        remove_hosts()
        print('skipped: no mpirun, or no MPI when ndarts was built (libopenmpi-dev, openmpi-bin)')
        sys.exit(77)

    def with_agent(test):
        def call():
            add_agent()
            test()
        call.__name__ = test.__name__
        return call

    try:
        code = main([with_agent(test) for test in (test_hosts, test_a_link_is_cut)])
    finally:
        remove_hosts()
    sys.exit(code)

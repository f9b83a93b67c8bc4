#!/usr/bin/env python3
"""Several ranks with a GPU each, under mpirun on the stand-ins for the CUDA libraries and for NCCL: a search has the bits of one
process, a last batch included of which a rank has no image; gathers are in the captured graph; and what is said without NCCL."""
import os
import re
import shutil
import sys
import tempfile

from _programs import BUILD, FAKE, RUN, call, check, failures, same_bytes

TEXT = '''import "methods.nd"
space two {
    candidates = [skip_connect, sep_conv_3x3, max_pool_3x3]
    cell { inputs 2  nodes 1  output concat(nodes)  keep 2 per node }
}
search {
    space two   network cifar_search(C=2, layers=3)
    noise on skip_connect { gaussian additive std=0.2 mean=0 }
    data synthetic(classes = 3, H = 8, W = 8, limit = 18) split 0.5
    epochs 1  batch 8  seed 5
    weights sgd(lr=0.05, momentum=0.9, decay=3e-4, clip=5)
}
'''
SAME = ('checkpoint.safetensors', 'alphas.jsonl', 'metrics.jsonl', 'genotypes.jsonl', 'genotype.nd')
LIBRARIES = f'{os.path.join(FAKE, "nccl")}:{FAKE}'


def search(folder, ranks, code=0, fake=LIBRARIES, **environment):
    launcher = ('mpirun', '--oversubscribe', '--bind-to', 'none', '-n', str(ranks)) if ranks > 1 else ()
    return call([*launcher, RUN, 'search', os.path.join(folder, 'search.nd'), '--out', os.path.join(folder, f'ranks{ranks}'),
                 '--device=cuda', '--threads', '1'], code, fake, SIMT_OPTIONS='-O0 -g0', **environment)


def same_bits(folder):
    search(folder, 1)
    said = search(folder, 2, FAKE_NCCL_COUNT='1')
    ran, put = (int(n) for n in re.search(r'fake nccl: (\d+) gathers of (\d+)', said).groups())
    assert ran > put > 20, f'{ran} gathers of {put}: no graph was replayed'
    for name in SAME:
        one, other = (os.path.join(folder, f'ranks{r}', name) for r in (1, 2))
        assert same_bytes(one, other), f'{name} of two ranks is another'


def without_nccl(folder):
    said = search(folder, 2, 2, FAKE)
    assert '2 ranks with GPUs need NCCL, and libnccl.so.2 lacks ncclGetUniqueId; install it (package libnccl2' in said, said
    said = search(folder, 2, 2, FAKE_NCCL_FAILS='1')
    assert 'exchanging between GPUs by NCCL: system error' in said, said


if not shutil.which('mpirun') or not os.path.exists(os.path.join(BUILD, 'bin', 'libndarts_mpi.so')):
    print('skipped: no mpirun, or no MPI when ndarts was built (libopenmpi-dev, openmpi-bin)')
    sys.exit(77)
os.environ.update(OMPI_ALLOW_RUN_AS_ROOT='1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1', OMPI_MCA_btl='self,vader')
with tempfile.TemporaryDirectory() as home:
    with open(os.path.join(home, 'search.nd'), 'w', encoding='utf-8') as file:
        file.write(TEXT)
    check('the same bits', same_bits, home)
    check('without NCCL', without_nccl, home)
sys.exit(1 if failures else 0)

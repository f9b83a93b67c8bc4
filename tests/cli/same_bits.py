#!/usr/bin/env python3
"""A search with drawn noise and drop path gives the same bits for 1, 2 and 3 threads and when it is repeated; another seed gives others."""
import os
import subprocess
import sys
import tempfile

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

BUILD = os.environ['NDARTS_BUILD']
RUN, TOOL = os.path.join(BUILD, 'bin', 'ndarts-run'), os.path.join(BUILD, 'tests', 'ref_tool')
# Five images do not divide evenly among threads.
TEXT = '''import "darts.nd"
search {
    space darts   network cifar_search(C=4, layers=3)
    noise on skip_connect { gaussian additive std=0.2 mean=0.1 decay }
    drop_path on skip_connect { probability=0.3 }
    data synthetic
    epochs 50  batch 5
    weights sgd(lr=cosine(0.05, 0.001), momentum=0.9, decay=3e-4, clip=5)
    alphas adam(lr=3e-4, betas=(0.5, 0.999), decay=1e-3)
}
'''


def trace(threads, seed):
    subprocess.run([RUN, 'trace', 'text.nd', '--weights', 'weights.safetensors', '--feed', 'feed.safetensors', '--steps', '2', '--epoch', '7',
                    '--threads', str(threads), '--seed', str(seed), '-o', 'out.safetensors'], check=True)
    with open('out.safetensors', 'rb') as file:
        return file.read()


def main():
    os.environ['NDARTS_CFLAGS'] = '-Og'
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open('text.nd', 'w') as file:
            file.write(TEXT)
        subprocess.run([TOOL, 'weights', 'weights.safetensors', 'text.nd', '', '1'], check=True)
        subprocess.run([TOOL, 'tensors', 'feed.safetensors', 'input=input:5,3,32,32', 'input_valid=input:5,3,32,32', 'labels=label/10:5',
                        'labels_valid=label/10:5', 'alphas_normal=unit:14,7', 'alphas_reduce=unit:14,7'], check=True)
        first = trace(1, 10)
        for threads in (1, 2, 3):
            assert trace(threads, 10) == first, f'other bits with {threads} threads'
        assert trace(2, 11) != first, 'the seed names no draws'
        os.chdir('/')
    print('the same bits for any number of threads')


if __name__ == '__main__':
    main()

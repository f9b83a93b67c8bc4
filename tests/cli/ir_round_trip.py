#!/usr/bin/env python3
"""print -> parse -> print changes nothing, for the IR in every golden test and for what the passes make of it."""
import glob
import os
import re
import subprocess
import sys
import tempfile

build, source = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']
program = os.path.join(build, 'bin', 'ndarts-opt')


def print_ir(text, *options):
    """The printed module, or None when the text is refused (as some tests want)."""
    done = subprocess.run([program, '-', *options], input=text, text=True, capture_output=True, timeout=100)
    if done.returncode not in (0, 1):
        sys.exit(f'ndarts-opt ended with {done.returncode}:\n{done.stderr}\n{text}')
    return done.stdout if done.returncode == 0 else None


def check(path, text):
    printed = print_ir(text, '--passes=')
    if printed is None:
        return 0
    if print_ir(printed, '--passes=') != printed:
        sys.exit(f'{path}: printing and reading again gives another text:\n{printed}')
    return 1


def texts(path):
    with open(path) as file:
        parts = re.split(r'^(?:# RUN: .*|--- (?:input|output|exit).*)$', file.read(), flags=re.M)
    return [part for part in parts if re.search(r'^graph @', part, re.M)]


count = 0
for path in sorted(glob.glob(os.path.join(source, 'tests/golden/**/*.test'), recursive=True)):
    for text in texts(path):
        count += check(path, text)

# A whole step: each file that --dump-to writes is a valid input.
search = '''
set kind = "search"
graph @skip(%x: f32[N,8,8,4]) -> f32[N,8,8,4] {
  return %x
}
graph @conv(%x: f32[N,8,8,4]) -> f32[N,8,8,4] {
  %1 = relu %x
  %2 = param {name="op.1.weight", kind="weight", init="uniform", scale=0.5} : f32[4,4,3,3]
  %3 = conv2d %1, %2 {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=1}
  %4 = batch_norm %3 {name="op.2", eps=1e-5, momentum=0.1, affine=false}
  return %4
}
graph @forward(%input: f32[N,8,8,4]) {
  %1 = param {name="alphas_normal", kind="alpha", init="normal", scale=0.001} : f32[1,2]
  %2 = softmax %1
  %3 = index %2 {axis=0, at=0}
  %4 = mixed %input, %3 {candidates=[@skip, @conv], name="cells.0._ops.0"}
  %5 = reduce_sum %4 {axes=[1,2]}
  return "logits" = %5
}
'''
with tempfile.TemporaryDirectory() as folder:
    for kind in ('infer', 'search-weights', 'search-alphas'):
        if print_ir(search, f'--kind={kind}', f'--dump-to={folder}/{kind}') is None:
            sys.exit(f'the pipeline refuses the sample for {kind}')
    for path in sorted(glob.glob(f'{folder}/*/*.ir')):
        with open(path) as file:
            if not check(path, file.read()):
                sys.exit(f'{path} is no valid input')
        count += 1
print(f'{count} modules')
sys.exit(0 if count > 30 else 'too few modules found')

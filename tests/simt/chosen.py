#!/usr/bin/env python3
"""Of a search by choice the host launches what the choices ask for, through the whole runtime on the stand-ins for the CUDA libraries: a
pass and two steps as on the CPU."""
import os
import sys
import tempfile

from _programs import HERE, Trace, check, failures

TEXT = os.path.join(HERE, 'chosen.nd')


def main():
    with tempfile.TemporaryDirectory() as folder:
        images = [f'input{which}=input:4,3,8,8' for which in ('', '_valid')] + [f'labels{which}=label/10:4' for which in ('', '_valid')]
        trace = Trace(folder, TEXT, images + ['alphas_normal=unit:5,4', 'alphas_reduce=unit:5,4'], '--steps', '2')
        check('trace', trace.compare)
        trace.options += ('--precision', 'f64')
        check('trace of doubles', trace.compare)
    sys.exit(1 if failures else 0)


main()

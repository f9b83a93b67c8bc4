#!/usr/bin/env python3
"""Reference values of second-order search steps, f32: of one case, with noise and drop path in all passes."""
import sys

import _second

_second.main('f32', sys.argv[1:] or ['second/gaussian_paired/drop0.3'])

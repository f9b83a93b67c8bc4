#!/usr/bin/env python3
"""Reference values of NAS-Bench-201 and of S1 to S4, f64."""
import _spaces

_spaces.main('f64')

#!/usr/bin/env python3
"""Reference values of ops, f64."""
import _ops

_ops.main('f64')

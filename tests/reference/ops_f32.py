#!/usr/bin/env python3
"""Reference values of ops, f32."""
import _ops

_ops.main('f32')

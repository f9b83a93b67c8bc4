#!/usr/bin/env python3
"""Reference values of supernet, f32."""
import _supernet

_supernet.main('f32')

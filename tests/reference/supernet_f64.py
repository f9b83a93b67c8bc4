#!/usr/bin/env python3
"""Reference values of supernet, f64."""
import _supernet

_supernet.main('f64')

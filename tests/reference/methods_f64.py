#!/usr/bin/env python3
"""Reference values of search methods, f64."""
import _methods

_methods.main('f64')

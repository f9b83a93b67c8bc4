#!/usr/bin/env python3
"""Reference values of second-order search steps, f64."""
import _second

_second.main('f64')

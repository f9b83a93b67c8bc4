#!/usr/bin/env python3
"""Reference values of GDAS, of whose candidates only the chosen ones are computed and trained, f64."""
import _common
import _methods


def build(case, folder):
    result = _methods.build(case, folder)
    result.name = 'chosen'
    return result


_common.run_all('chosen', 'f64', build)

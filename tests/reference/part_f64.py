#!/usr/bin/env python3
"""Reference values of methods that use a part of the channels and weigh the edges of nodes (PC-DARTS), f64."""
import _common
import _methods
import _supernet


def build(case, folder):
    result = _methods.build(case, folder, 'part')
    betas = [f'{name}=unit:{_supernet.EDGES}' for name in ('betas_normal', 'betas_reduce')]
    result.make_feed(_methods.feed_entries(case) + betas)
    return result


if __name__ == '__main__':
    _common.run_all('part', 'f64', build)

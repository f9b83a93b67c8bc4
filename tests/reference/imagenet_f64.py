#!/usr/bin/env python3
"""Reference values of the ImageNet model, f64."""
import _imagenet

_imagenet.main('f64')

#!/usr/bin/env python3
"""Reference values of the ImageNet model, f32."""
import _imagenet

_imagenet.main('f32')

#!/usr/bin/env python3
"""Reference values of networks, f32."""
import _networks

_networks.main('f32')

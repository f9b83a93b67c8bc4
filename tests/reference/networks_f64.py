#!/usr/bin/env python3
"""Reference values of networks, f64."""
import _networks

_networks.main('f64')

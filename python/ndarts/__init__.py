"""ndarts: differentiable architecture search, compiled.

    import ndarts
    net = ndarts.compile("genotypes/noisy_darts_a.nd", batch=64)
    logits = net(images)                    # numpy, float32, N x C x H x W

Everything is done by the C library libndarts, which comes with this package; numpy is all it needs. What a call takes and
gives is described with it; docs/python.md is the guide.
"""
from ._errors import Error, InputError, Interrupted, MachineError
from ._library import library_folder, version
from ._net import Net, Tensor, compile
from ._texts import derive, draw, ir, stats

__version__ = version()
__all__ = ['Error', 'InputError', 'Interrupted', 'MachineError', 'Net', 'Tensor', 'compile', 'derive', 'draw', 'ir',
           'library_folder', 'stats']

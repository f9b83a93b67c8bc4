"""ndarts: differentiable architecture search, compiled.

    import ndarts
    net = ndarts.compile("genotypes/noisy_darts_a.nd", batch=64)
    logits = net(images)                    # numpy, float32, N x C x H x W
    run = ndarts.search("specs/fashion_quick.nd", on_epoch=lambda e: print(e.accuracy, e.genotype))

Everything is done by the C library libndarts, which comes with this package; numpy is all it needs. What a call takes and
gives is described with it; docs/python.md is the guide.
"""
from ._errors import Error, InputError, Interrupted, MachineError
from ._library import library_folder, version
from ._net import Net, Tensor, compile
from ._runs import Epoch, Run, SearchRun, Step, TrainRun, evaluate, search, train
from ._texts import cost, derive, draw, ir, stats

__version__ = version()
__all__ = ['Epoch', 'Error', 'InputError', 'Interrupted', 'MachineError', 'Net', 'Run', 'SearchRun', 'Step', 'Tensor', 'TrainRun',
           'compile', 'cost', 'derive', 'draw', 'evaluate', 'ir', 'library_folder', 'search', 'stats', 'train']

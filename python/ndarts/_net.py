"""A compiled network: images in, logits out."""
import os
import threading
import weakref
from ctypes import byref, c_void_p, sizeof
from typing import Any, Dict, List, Mapping, NamedTuple, NoReturn, Optional, Tuple, Union

import numpy as np

from . import _library as lib
from ._errors import InputError


KINDS = ('weight', 'alpha', 'statistic', 'optimizer') # as NdartsKind numbers them


class Tensor(NamedTuple):
    """What a net takes, gives or has: -1 in a shape is the number of images; kind, of parameters: "weight", "alpha", "statistic"."""
    name: str
    shape: Tuple[int, ...]
    dtype: np.dtype
    kind: str


class _Handle:
    """What the library opened, as an argument of its functions. It is closed when nobody has it any more, hence never in the
    middle of a call; and not when the program ends, where a call of a daemon thread may go on."""

    def __init__(self, pointer: c_void_p):
        self._as_parameter_ = pointer
        weakref.finalize(self, lib.library.ndarts_close, pointer).atexit = False


def _describe(function: str, net: _Handle, index: int) -> Tensor:
    info = lib.TensorInfo()
    getattr(lib.library, function)(net, index, byref(info))
    return Tensor(info.name.decode(), tuple(info.shape[:info.rank]), lib.DTYPES[info.type], KINDS[info.kind])


_nets: 'weakref.WeakSet[Net]' = weakref.WeakSet()


class Net:
    """A network made by `compile`. Calls of one net wait for each other, calls of several run side by side, also in
    threads: the GIL is free meanwhile. Results are the same bits for any number of threads."""

    def __init__(self, handle: c_void_p):
        self._open: Optional[_Handle] = _Handle(handle)
        self._lock = threading.RLock() # of whoever needs the weights that he loaded for more than one call
        self._loads = 0                # so often weights were loaded, by anybody
        _nets.add(self)

    @property
    def _handle(self) -> _Handle:
        handle = self._open
        if handle is None:
            raise InputError('the net is closed; ndarts.compile makes another')
        return handle

    def _list(self, what: str) -> List[Tensor]:
        handle = self._handle
        count = getattr(lib.library, f'ndarts_{what}_count')(handle)
        return [_describe(f'ndarts_{what}', handle, i) for i in range(count)]

    @property
    def inputs(self) -> List[Tensor]:
        """What it takes: [('input', (-1, C, H, W), float32)]."""
        return self._list('input')

    @property
    def outputs(self) -> List[Tensor]:
        """What it gives: [('logits', (-1, classes), float32)]."""
        return self._list('output')

    @property
    def parameters(self) -> List[Tensor]:
        """Weights and running statistics, by their PyTorch names and shapes."""
        return self._list('parameter')

    @property
    def batch(self) -> int:
        """How many images go through together; a call takes any number of them."""
        return lib.library.ndarts_batch(self._handle)

    def __call__(self, *inputs: Any) -> Any:
        """Images, N x C x H x W, normalised as in training, to logits, N x classes, in evaluation mode. Arrays of numpy, or
        tensors of whoever has DLPack. An array; of a net with several outputs a dict of arrays by their names."""
        wanted, given = self.inputs, self.outputs
        if len(inputs) != len(wanted):
            raise InputError(f'the net takes {len(wanted)} arrays: {", ".join(t.name for t in wanted)}; found {len(inputs)}')
        arrays, kept = lib.to_arrays({tensor.name: value for tensor, value in zip(wanted, inputs)})
        images = kept[0].shape[0] if kept[0].ndim else 1
        results = {t.name: np.empty([images if n == -1 else n for n in t.shape], t.dtype) for t in given}
        outputs, _ = lib.to_arrays(results)
        lib.call('ndarts_run_arrays', self._handle, arrays, outputs)
        return results if len(results) > 1 else next(iter(results.values()))

    def state_dict(self) -> Dict[str, np.ndarray]:
        """Copies of all weights and running statistics at one moment, with the names and shapes of PyTorch's state_dict."""
        state = {tensor.name: np.empty(tensor.shape, tensor.dtype) for tensor in self.parameters}
        places, _ = lib.to_arrays(state)
        lib.call('ndarts_get_parameters', self._handle, places, len(places))
        return state

    def load_state_dict(self, state: Union[lib.PathOrText, Mapping[str, Any]]) -> 'Net':
        """Takes all weights and statistics by their names: of a dict of arrays or tensors, as torch.load gives it, or of a
        safetensors file. What is missing, left over or of another shape is listed in the InputError, and nothing is
        changed then."""
        with self._lock:
            if isinstance(state, (str, os.PathLike)):
                lib.call('ndarts_set_weights', self._handle, lib.encode(state))
            else:
                arrays, _kept = lib.to_arrays(state)
                lib.call('ndarts_set_parameters', self._handle, arrays, len(arrays))
            self._loads += 1
        return self

    def run_pass(self, graph: str, inputs: Mapping[str, Any], outputs: Mapping[str, np.ndarray], *, seed: int = 0, step: int = 0, epoch: int = 0,
                 epochs: int = 1) -> None:
        """A pass in training mode over one batch, of a net of the kind "train": ndarts.torch is made of these.

        graph: "train-forward", input -> logits; or "gradients", input and grad_output (N x classes) -> grad/NAME of weights and
        grad/input. outputs: arrays of numpy, C-contiguous, float32 or float64, that are filled. Both graphs move the running statistics.
        seed and step name the random draws, epoch of epochs is for schedules of the text.
        """
        for name, array in outputs.items():
            if not isinstance(array, np.ndarray) or not (array.flags.c_contiguous and array.flags.writeable and array.dtype.isnative):
                raise InputError(f'the output {name!r} should be a C-contiguous array of numpy, in this machine\'s byte order, that may be written')
        given, _kept = lib.to_arrays(inputs)
        wanted, _ = lib.to_arrays(outputs)
        run = lib.Pass(size=sizeof(lib.Pass), graph=lib.encode(graph), seed=lib.integer('seed', seed, 0, lib.MOST_UINT64),
                       step=lib.integer('step', step, 0, lib.MOST_UINT64), epoch=lib.integer('epoch', epoch, 0, lib.MOST_INT64),
                       epochs=lib.integer('epochs', epochs, 1, lib.MOST_INT64), input_count=len(given), output_count=len(wanted), inputs=given,
                       outputs=wanted)
        with self._lock:
            lib.call('ndarts_pass', self._handle, byref(run))

    def close(self) -> None:
        """Gives its memory back now, or when the calls that go on in other threads end, instead of when the net is no longer
        used. Later calls raise an InputError."""
        self._open = None

    def __reduce__(self) -> NoReturn: # of copies, pickles and other processes
        raise TypeError('a net cannot be copied or pickled; give its text, or path, and its state_dict() instead, and compile it there')

    def __enter__(self) -> 'Net':
        return self

    def __exit__(self, *_exception: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._open is None:
            return '<ndarts.Net closed>'
        shape = lambda tensors: ', '.join(f'{t.name} {list(t.shape)}' for t in tensors)
        return f'<ndarts.Net {shape(self.inputs)} -> {shape(self.outputs)}>'


def _unlock_nets() -> None:
    """In a process that fork made: who held a lock is not there."""
    for net in _nets:
        net._lock = threading.RLock()


os.register_at_fork(after_in_child=_unlock_nets)


def compile(path_or_text: lib.PathOrText, *, kind: str = 'infer', batch: int = 16, device: Optional[str] = None, precision: str = 'f32',
            threads: int = 0, set: Optional[lib.Settings] = None, network: Optional[str] = None,
            weights: Union[None, lib.PathOrText, Mapping[str, Any]] = None, seed: int = 0) -> Net:
    """Compiles a network, or finds it in the cache.

    path_or_text: a text of the language (its path, or itself), textual IR (.ir), or a module (.so, .cubin) for which only
        device, threads and weights matter. A path that is not there is looked for in library_folder().
    kind: "infer"; or "train", which ndarts.torch.Module takes: in training mode, with gradients, too.
    batch: how many images go through together; a call takes any number.
    device: "cpu" (the default of texts), "cuda", "cuda:N", "auto". precision: "f32", "f64", "bf16"; on a GPU "tf32" too.
    threads: 0 for one per core. set: parameters of the text by their names, {"C": 16, "layers": 8}.
    network: which of several networks of the text. weights: as load_state_dict takes them; else they are drawn, as a
        training begins, from seed.
    """
    path, text = lib.split(path_or_text)
    first = lib.integer('seed', seed, 0, lib.MOST_UINT64)
    handle = c_void_p()
    options = lib.options(text, set, batch=batch, device=device, precision=precision, threads=threads, network=network,
                          kind=kind)
    lib.call('ndarts_open', path, byref(options), byref(handle))
    net = Net(handle)
    if weights is not None:
        net.load_state_dict(weights)
    elif not lib.library.ndarts_has_weights(handle):
        lib.call('ndarts_initialize', handle, first)
    return net

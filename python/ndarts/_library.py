"""The C library by ctypes: its types and functions as ndarts.h declares them, and status codes as exceptions. ctypes
releases the GIL while a function runs."""
import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint64, c_void_p
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from ._errors import Error, InputError, Interrupted, MachineError

PathOrText = Union[str, 'os.PathLike[str]']
Settings = Mapping[str, Any]

MAX_RANK = 8
# As NdartsType numbers them. What numpy has no type for (bf16, 3) is never given and never asked for.
TYPES = {np.dtype(np.float32): 0, np.dtype(np.float64): 1, np.dtype(np.float16): 2, np.dtype(np.int64): 4,
         np.dtype(np.int32): 5, np.dtype(np.uint8): 6, np.dtype(np.bool_): 7}
DTYPES = {number: dtype for dtype, number in TYPES.items()}


class Options(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('device', c_char_p), ('threads', c_int), ('batch', c_int64), ('precision', c_char_p),
                ('sets', POINTER(c_char_p)), ('set_count', c_int), ('text', c_char_p), ('network', c_char_p), ('kind', c_char_p)]


class Array(ctypes.Structure):
    _fields_ = [('name', c_char_p), ('type', c_int), ('rank', c_int), ('shape', c_int64 * MAX_RANK), ('data', c_void_p)]


class TensorInfo(ctypes.Structure):
    _fields_ = [('name', c_char_p), ('type', c_int), ('rank', c_int), ('shape', c_int64 * MAX_RANK), ('size', c_int64),
                ('kind', c_int)]


class Pass(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('graph', c_char_p), ('seed', c_uint64), ('step', c_uint64), ('epoch', c_int64), ('epochs', c_int64),
                ('input_count', c_int), ('output_count', c_int), ('inputs', POINTER(Array)), ('outputs', POINTER(Array))]


class Derive(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('path', c_char_p), ('arrays', POINTER(Array)), ('array_count', c_int), ('spec', c_char_p),
                ('spec_text', c_char_p), ('name', c_char_p), ('keep_ops', c_int), ('epoch', c_int64)]


class RunStep(ctypes.Structure):
    _fields_ = [('epoch', c_int64), ('epochs', c_int64), ('step', c_int64), ('steps', c_int64), ('loss', c_double), ('accuracy', c_double),
                ('images_per_second', c_double)]


class RunEpoch(ctypes.Structure):
    _fields_ = [('epoch', c_int64), ('epochs', c_int64), ('metrics', c_char_p), ('genotype', c_char_p), ('seconds', c_double),
                ('images_per_second', c_double)]


ON_STOP = ctypes.CFUNCTYPE(c_int, c_void_p)
ON_STEP = ctypes.CFUNCTYPE(None, c_void_p, POINTER(RunStep))
ON_EPOCH = ctypes.CFUNCTYPE(None, c_void_p, POINTER(RunEpoch))
ON_SAY = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)


class Run(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('path', c_char_p), ('options', Options), ('out', c_char_p), ('recipe', c_char_p), ('costs', c_char_p),
                ('init', c_char_p), ('resume', c_int), ('allow_different_build', c_int), ('allow_different_data', c_int), ('tensorboard', c_int), ('log_steps', c_int),
                ('has_seed', c_int), ('seed', c_uint64), ('context', c_void_p), ('stop', ON_STOP), ('step', ON_STEP), ('epoch', ON_EPOCH),
                ('say', ON_SAY)]


class Evaluate(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('path', c_char_p), ('options', Options), ('weights', c_char_p), ('arrays', POINTER(Array)),
                ('array_count', c_int), ('data', c_char_p), ('part', c_char_p), ('recipe', c_char_p)]


# char **: a text that the library made and ndarts_free frees.
OWNED_TEXT = POINTER(c_void_p)
FUNCTIONS = {
    'ndarts_version': (c_char_p, []),
    'ndarts_free': (None, [c_void_p]),
    'ndarts_open': (c_int, [c_char_p, POINTER(Options), POINTER(c_void_p), OWNED_TEXT]),
    'ndarts_close': (None, [c_void_p]),
    'ndarts_set_weights': (c_int, [c_void_p, c_char_p, OWNED_TEXT]),
    'ndarts_has_weights': (c_int, [c_void_p]),
    'ndarts_set_parameters': (c_int, [c_void_p, POINTER(Array), c_int, OWNED_TEXT]),
    'ndarts_initialize': (c_int, [c_void_p, c_uint64, OWNED_TEXT]),
    'ndarts_parameter_count': (c_int, [c_void_p]),
    'ndarts_parameter': (c_int, [c_void_p, c_int, POINTER(TensorInfo)]),
    'ndarts_get_parameter': (c_int, [c_void_p, c_int, c_void_p, OWNED_TEXT]),
    'ndarts_batch': (c_int64, [c_void_p]),
    'ndarts_input_count': (c_int, [c_void_p]),
    'ndarts_output_count': (c_int, [c_void_p]),
    'ndarts_input': (c_int, [c_void_p, c_int, POINTER(TensorInfo)]),
    'ndarts_output': (c_int, [c_void_p, c_int, POINTER(TensorInfo)]),
    'ndarts_run_arrays': (c_int, [c_void_p, POINTER(Array), POINTER(Array), OWNED_TEXT]),
    'ndarts_pass': (c_int, [c_void_p, POINTER(Pass), OWNED_TEXT]),
    'ndarts_ir': (c_int, [c_char_p, POINTER(Options), c_char_p, c_char_p, c_char_p, OWNED_TEXT, OWNED_TEXT]),
    'ndarts_stats': (c_int, [c_char_p, POINTER(Options), OWNED_TEXT, OWNED_TEXT]),
    'ndarts_cost': (c_int, [c_char_p, POINTER(Options), OWNED_TEXT, OWNED_TEXT]),
    'ndarts_draw': (c_int, [c_char_p, POINTER(Options), OWNED_TEXT, OWNED_TEXT]),
    'ndarts_search': (c_int, [POINTER(Run), OWNED_TEXT, OWNED_TEXT]),
    'ndarts_train': (c_int, [POINTER(Run), OWNED_TEXT, OWNED_TEXT]),
    'ndarts_evaluate': (c_int, [POINTER(Evaluate), OWNED_TEXT, OWNED_TEXT]),
    'ndarts_derive': (c_int, [POINTER(Derive), OWNED_TEXT, OWNED_TEXT]),
}
PACKAGE = os.path.dirname(os.path.abspath(__file__))
ERRORS = {1: InputError, 2: MachineError, 130: Interrupted}


def _load() -> ctypes.CDLL:
    """The library of this package or, where it is installed without one, of the system."""
    own = os.path.join(PACKAGE, 'lib', 'libndarts.so.0')
    loaded = ctypes.CDLL(own if os.path.exists(own) else 'libndarts.so.0')
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


library = _load()


def version() -> str:
    """Of the C library: "0.1.0"."""
    return library.ndarts_version().decode()


def library_folder() -> str:
    """The folder with genotypes/ and specs/ that come with this package."""
    return os.path.join(PACKAGE, 'share', 'ndarts')


def take_text(owned: c_void_p) -> str:
    """What the library gave back, which is freed."""
    text = ctypes.cast(owned, c_char_p).value or b''
    library.ndarts_free(owned)
    return text.decode('utf-8', 'replace')


def check(status: int, message: c_void_p) -> None:
    """Raises what a status and its message say."""
    if status:
        raise ERRORS.get(status, Error)(take_text(message))


def call(name: str, *arguments: Any) -> None:
    """A function of the library whose last argument is the message of a failure."""
    message = c_void_p()
    check(getattr(library, name)(*arguments, byref(message)), message)


def call_for_text(name: str, *arguments: Any) -> str:
    """Likewise one that gives back a text before."""
    text = c_void_p()
    call(name, *arguments, byref(text))
    return take_text(text)


# ---- what is given ----


def encode(text: Optional[PathOrText]) -> Optional[bytes]:
    return None if text is None else os.fsencode(text)


def is_text(given: PathOrText) -> bool:
    """Texts have more than one line or a block, paths have not."""
    return isinstance(given, str) and ('\n' in given or '{' in given)


def find_path(path: PathOrText) -> bytes:
    """A relative path that is not there may be of what comes with the package: genotypes/darts_v2.nd."""
    own = os.path.join(library_folder(), path)
    return os.fsencode(own if not os.path.exists(path) and os.path.exists(own) else path)


def split(given: PathOrText) -> Tuple[Optional[bytes], Optional[bytes]]:
    """Path and text; one of them is None."""
    return (None, given.encode()) if is_text(given) else (find_path(given), None)


def setting(value: Any) -> str:
    """As --set of the programs has it."""
    if isinstance(value, (bool, np.bool_)):
        return 'true' if value else 'false'
    if isinstance(value, (list, tuple)):
        return f'[{", ".join(map(setting, value))}]'
    return str(value)


def strings(texts: Sequence[str]) -> 'ctypes.Array[c_char_p]':
    return (c_char_p * len(texts))(*[text.encode() for text in texts])


def settings(values: Optional[Settings]) -> List[str]:
    return [f'{name}={setting(value)}' for name, value in (values or {}).items()]


def options(text: Optional[bytes], set: Optional[Settings], **others: Any) -> Options:
    """others: fields of Options."""
    sets = settings(set)
    texts = {name: value.encode() if isinstance(value, str) else value for name, value in others.items()}
    return Options(size=ctypes.sizeof(Options), text=text, sets=strings(sets), set_count=len(sets), **texts)


def to_numpy(value: Any) -> np.ndarray:
    """An array or a tensor of any library, without a copy where it lies in this machine's memory as numpy can have it."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, 'detach'): # a tensor of PyTorch may remember where it comes from
        value = value.detach()
    if hasattr(value, '__dlpack__'):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError): # on another device, or of a type that numpy has not
            pass
    if hasattr(value, 'cpu'):
        value = value.cpu()
    if str(getattr(value, 'dtype', '')) == 'torch.bfloat16':
        value = value.float()
    return np.asarray(value)


def to_array(name: str, value: Any) -> Tuple[Array, np.ndarray]:
    """For the library, and the numpy array that must live as long."""
    given = to_numpy(value)
    numbers = np.asarray(given, given.dtype.newbyteorder('='), order='C')
    if numbers.dtype not in TYPES:
        raise InputError(f'{name}: numbers of type {numbers.dtype} cannot be taken; they are {", ".join(map(str, TYPES))}')
    if numbers.ndim > MAX_RANK:
        raise InputError(f'{name}: {numbers.ndim} axes; at most {MAX_RANK} can be taken')
    shape = (c_int64 * MAX_RANK)(*numbers.shape)
    return Array(name.encode(), TYPES[numbers.dtype], numbers.ndim, shape, numbers.ctypes.data), numbers


def to_arrays(values: Mapping[str, Any]) -> Tuple['ctypes.Array[Array]', List[np.ndarray]]:
    pairs = [to_array(name, value) for name, value in values.items()]
    return (Array * len(pairs))(*[array for array, _ in pairs]), [numbers for _, numbers in pairs]

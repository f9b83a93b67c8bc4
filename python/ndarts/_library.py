"""The C library by ctypes: its types and functions as ndarts.h declares them, and status codes as exceptions. ctypes
releases the GIL while a function runs."""
import ctypes
import operator
import os
import re
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint64, c_void_p
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from ._errors import Error, InputError, Interrupted, MachineError

PathOrText = Union[str, 'os.PathLike[str]']
Settings = Mapping[str, Any]

MAX_RANK = 8
# As NdartsType numbers them. What numpy has no type for (bf16, 3) is never given and never asked for.
TYPES: Dict[np.dtype, int] = {np.dtype(np.float32): 0, np.dtype(np.float64): 1, np.dtype(np.float16): 2, np.dtype(np.int64): 4,
                              np.dtype(np.int32): 5, np.dtype(np.uint8): 6, np.dtype(np.bool_): 7}
DTYPES = {number: dtype for dtype, number in TYPES.items()}
# Integers that the library has no type for, and those that hold them all.
WIDER = {np.dtype(np.int8): np.int32, np.dtype(np.int16): np.int32, np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64}
MOST_UINT64, MOST_INT64, MOST_INT = 2**64 - 1, 2**63 - 1, 2**31 - 1
MOST_THREADS = 1024


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
    'ndarts_get_parameters': (c_int, [c_void_p, POINTER(Array), c_int, OWNED_TEXT]),
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


# What the functions of this package take under the names that the programs have for it.
ARGUMENTS = ('batch', 'data', 'device', 'init', 'part', 'precision', 'recipe', 'seed', 'set', 'spec', 'threads', 'weights')
FLAGS = ('allow-different-build', 'allow-different-data', 'log-steps', 'resume', 'tensorboard')


def name_arguments(message: str) -> str:
    """Options of the programs (--set, --resume) as arguments; but not in the lines of a text, which are indented."""
    def name(option: 're.Match[str]') -> str:
        return option[1].replace('-', '_') + '=True' if option[1] in FLAGS else option[1]

    pattern = re.compile(rf'(?<![\w-])--({"|".join(FLAGS + ARGUMENTS)})(?![\w-])')
    return '\n'.join(line if line.startswith(' ') else pattern.sub(name, line) for line in message.split('\n'))


def check(status: int, message: c_void_p) -> None:
    """Raises what a status and its message say."""
    if status:
        raise ERRORS.get(status, Error)(name_arguments(take_text(message)))


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


def terminated(text: bytes) -> bytes:
    """What can be given to C, where a text ends with a zero byte."""
    if b'\0' in text:
        raise InputError(f'a zero byte in {text[:60]!r}, which is neither of a text nor of a path')
    return text


def encode(path: PathOrText) -> bytes:
    """A path, or a name."""
    return terminated(os.fsencode(path))


def encode_any(path: Optional[PathOrText]) -> Optional[bytes]:
    return None if path is None else encode(path)


def integer(name: str, value: Any, least: int, most: int) -> int:
    """In these bounds, in which C has it; ctypes would cut it off."""
    number = operator.index(value)
    if not least <= number <= most:
        raise InputError(f'{name} is {number}; it should be {least} to {most}')
    return number


def find_path(path: PathOrText) -> Optional[bytes]:
    """Of what is there. A relative path that is not may be of what comes with the package: genotypes/darts_v2.nd."""
    encoded = encode(path)
    own = os.path.join(os.fsencode(library_folder()), encoded)
    return next((found for found in (encoded, own) if os.path.exists(found)), None)


def split(given: PathOrText) -> Tuple[Optional[bytes], Optional[bytes]]:
    """Path and text; one of them is None. What is the path of nothing may be a text: one has several lines, a block, or the
    genotype of another program."""
    found = find_path(given)
    if found is None and isinstance(given, str) and any(sign in given for sign in ('\n', '{', 'Genotype(')):
        return None, terminated(given.encode())
    return found or encode(given), None


def setting(value: Any) -> str:
    """As --set of the programs has it."""
    if isinstance(value, (bool, np.bool_)):
        return 'true' if value else 'false'
    if isinstance(value, (list, tuple)):
        return f'[{", ".join(map(setting, value))}]'
    return str(value)


def strings(texts: Sequence[str]) -> 'ctypes.Array[c_char_p]':
    return (c_char_p * len(texts))(*[terminated(text.encode()) for text in texts])


def settings(values: Optional[Settings]) -> List[str]:
    return [f'{name}={setting(value)}' for name, value in (values or {}).items()]


def options(text: Optional[bytes], set: Optional[Settings], *, threads: int = 0, batch: int = 0, **others: Optional[str]) -> Options:
    """others: fields of Options."""
    sets = settings(set)
    texts = {name: encode_any(value) for name, value in others.items()}
    return Options(size=ctypes.sizeof(Options), text=text, sets=strings(sets), set_count=len(sets),
                   threads=integer('threads', threads, 0, MOST_THREADS), batch=integer('batch', batch, 0, MOST_INT64), **texts)


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
    native = given.dtype.newbyteorder('=')
    numbers = np.asarray(given, WIDER.get(native, native), order='C')
    if numbers.dtype not in TYPES:
        raise InputError(f'{name}: numbers of type {numbers.dtype} cannot be taken; they are {", ".join(map(str, [*TYPES, *WIDER]))}')
    if numbers.ndim > MAX_RANK:
        raise InputError(f'{name}: {numbers.ndim} axes; at most {MAX_RANK} can be taken')
    shape = (c_int64 * MAX_RANK)(*numbers.shape)
    return Array(terminated(name.encode()), TYPES[numbers.dtype], numbers.ndim, shape, numbers.ctypes.data), numbers


def to_arrays(values: Mapping[str, Any]) -> Tuple['ctypes.Array[Array]', List[np.ndarray]]:
    pairs = [to_array(name, value) for name, value in values.items()]
    return (Array * len(pairs))(*[array for array, _ in pairs]), [numbers for _, numbers in pairs]

"""Checkpoints as torch.save writes them, in both formats, without PyTorch: modules of the same names stand in for it while pickling."""
import collections
import io
import pickle
import struct
import sys
import types
import zipfile

MAGIC, PROTOCOL = 0x1950a86a20f9469cfc6c, 1001


def _stand_in(module, name):
    """A class that a pickle knows as module.name."""
    parts = module.split('.')
    for i in range(len(parts)):
        sys.modules.setdefault('.'.join(parts[:i + 1]), types.ModuleType('.'.join(parts[:i + 1])))
    made = type(name, (), {'__module__': module})
    setattr(sys.modules[module], name, made)
    return made


_rebuild = _stand_in('torch._utils', '_rebuild_tensor_v2')
_TYPES = {'f': (_stand_in('torch', 'FloatStorage'), 4), 'q': (_stand_in('torch', 'LongStorage'), 8)}


class Tensor:
    """Numbers of a struct format ('f' or 'q') in a shape; None: all zero."""

    def __init__(self, shape, data, kind='f'):
        self.shape, self.kind = tuple(shape), kind
        self.count = 1
        for extent in self.shape:
            self.count *= extent
        self.data = data or bytes(self.count * _TYPES[kind][1])

    def strides(self):
        strides, step = [], 1
        for extent in reversed(self.shape):
            strides.insert(0, step)
            step *= extent
        return tuple(strides)


class _Storage:
    def __init__(self, tensor, key):
        self.tensor, self.key = tensor, key


class _Pickler(pickle.Pickler):
    def __init__(self, file, legacy):
        super().__init__(file, 2)
        self.legacy, self.storages = legacy, {}

    def reducer_override(self, value):
        if not isinstance(value, Tensor):
            return NotImplemented
        key = str(len(self.storages))
        self.storages[key] = value
        return _rebuild, (_Storage(value, key), 0, value.shape, value.strides(), False, collections.OrderedDict())

    def persistent_id(self, value):
        if not isinstance(value, _Storage):
            return None
        # The count is of elements; the legacy format has a place for a view, which is never taken.
        place = ('storage', _TYPES[value.tensor.kind][0], value.key, 'cpu', value.tensor.count)
        return place + (None,) if self.legacy else place


def save_zip(path, value):
    body = io.BytesIO()
    pickler = _Pickler(body, False)
    pickler.dump(value)
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('archive/data.pkl', body.getvalue())
        file.writestr('archive/byteorder', b'little')
        for key, tensor in pickler.storages.items():
            file.writestr(f'archive/data/{key}', tensor.data)
        file.writestr('archive/version', b'3\n')


def save_legacy(path, value):
    body = io.BytesIO()
    pickler = _Pickler(body, True)
    pickler.dump(value)
    system = {'protocol_version': PROTOCOL, 'little_endian': True, 'type_sizes': {'short': 2, 'int': 4, 'long': 4}}
    with open(path, 'wb') as file:
        for what in (MAGIC, PROTOCOL, system):
            pickle.dump(what, file, 2)
        file.write(body.getvalue())
        pickle.dump(list(pickler.storages), file, 2)
        for tensor in pickler.storages.values():
            file.write(struct.pack('<q', tensor.count) + tensor.data)

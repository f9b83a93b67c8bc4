"""Changes the metadata of a checkpoint, keeping its checksum right."""
import json
import struct


def _fnv1a(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value


def _entry_hash(key, value):
    return _fnv1a(struct.pack('<QQ', _fnv1a(key.encode()), _fnv1a(value.encode())))


def read(path):
    with open(path, 'rb') as file:
        return json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))['__metadata__']


def change(path, **changes):
    """New values of entries, whose dots are written as __; None: the entry goes."""
    with open(path, 'rb') as file:
        data = file.read()
    size = struct.unpack('<Q', data[:8])[0]
    header = json.loads(data[8:8 + size])
    metadata = header['__metadata__']
    checksum = int(metadata['checksum'], 16)
    for name, value in changes.items():
        key = name.replace('__', '.')
        checksum -= _entry_hash(key, metadata.pop(key))
        if value is not None:
            checksum += _entry_hash(key, value)
            metadata[key] = value
    metadata['checksum'] = f'{checksum % 2**64:016x}'
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + data[8 + size:])

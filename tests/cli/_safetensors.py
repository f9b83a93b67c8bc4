"""Safetensors files, by hand: reading whole, writing float32 and labels."""
import json
import struct

LETTERS = {'F32': 'f', 'F64': 'd', 'I64': 'q'}


def read(path):
    """{name: (dtype, shape, bytes)}, without the metadata."""
    with open(path, 'rb') as file:
        data = file.read()
    size = struct.unpack('<Q', data[:8])[0]
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    header.pop('__metadata__', None)
    return {name: (entry['dtype'], entry['shape'], body[slice(*entry['data_offsets'])]) for name, entry in header.items()}


def floats(path):
    """{name: (shape, numbers)} of the float32 tensors."""
    return {name: (shape, struct.unpack(f'<{len(data) // 4}f', data))
            for name, (dtype, shape, data) in read(path).items() if dtype == 'F32'}


def numbers(path):
    """{name: numbers} of all tensors whose type is in LETTERS."""
    return {name: struct.unpack(f'<{len(data) // struct.calcsize(LETTERS[dtype])}{LETTERS[dtype]}', data)
            for name, (dtype, shape, data) in read(path).items() if dtype in LETTERS}


def write(path, tensors, dtypes=None):
    """tensors: {name: (shape, numbers)}; float32 unless dtypes has another one for the name."""
    header, body = {}, b''
    for name, (shape, values) in tensors.items():
        dtype = (dtypes or {}).get(name, 'F32')
        data = struct.pack(f'<{len(values)}{LETTERS[dtype]}', *values)
        header[name] = {'dtype': dtype, 'shape': list(shape), 'data_offsets': [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + body)

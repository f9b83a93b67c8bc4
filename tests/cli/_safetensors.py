"""Safetensors files, by hand: reading whole, writing float32."""
import json
import struct


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


def write(path, tensors):
    """tensors: {name: (shape, numbers)}, all float32."""
    header, body = {}, b''
    for name, (shape, numbers) in tensors.items():
        data = struct.pack(f'<{len(numbers)}f', *numbers)
        header[name] = {'dtype': 'F32', 'shape': list(shape), 'data_offsets': [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + body)

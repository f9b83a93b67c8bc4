"""The draws, by their definition: Philox 4x32-10 (Salmon et al., SC 2011) of (element, image, hash of the stream's name, step) under the
seed; uniform from the first word, normal by Box-Muller from the first two, Fisher-Yates over 64 bits."""
import math

MASK = 0xffffffff


def philox(counter, key):
    a, b, c, d = counter
    low, high = key & MASK, key >> 32
    for _ in range(10):
        first, second = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = second >> 32 ^ b ^ low, second & MASK, first >> 32 ^ d ^ high, first & MASK
        low, high = (low + 0x9E3779B9) & MASK, (high + 0xBB67AE85) & MASK
    return a, b, c, d


def stream_hash(name):
    """FNV-1a of 64 bits, folded to 32."""
    value = 0xcbf29ce484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value & MASK ^ value >> 32


def uniform(seed, stream, step, image, element=0):
    return (philox((element, image, stream_hash(stream), step), seed)[0] >> 8) * 2.0**-24


def normal(seed, stream, step, image, element):
    words = philox((element, image, stream_hash(stream), step), seed)
    u, turn = ((words[0] >> 8) + 1) * 2.0**-24, (words[1] >> 8) * 2.0**-24
    return math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * turn)


def shuffled(items, seed, stream, epoch, turn=0):
    """The order of an epoch; turn: how often the images were gone through in it before."""
    items = list(items)
    for i in range(len(items) - 1, 0, -1):
        words = philox((i, turn, stream_hash(stream), epoch), seed)
        j = (words[0] << 32 | words[1]) % (i + 1)
        items[i], items[j] = items[j], items[i]
    return items

#!/usr/bin/env python3
"""Makes the pictures beside this script with Pillow and tifffile, and what becomes of them: NAME.expected.png is Pillow's resize of the short side to 48
(bilinear), of which the middle 42 x 42 is cut out as torchvision does; NAME.cubic.expected.png the same with the bicubic filter;
alpha.COLOUR.expected.png what torchvision's colour functions make of alpha.png. Nothing in the tests needs it again."""
import math
import os
import random
import struct

import numpy
import tifffile
from PIL import Image, ImageEnhance

os.chdir(os.path.dirname(os.path.abspath(__file__)))
SIDE, CROP = 48, 42
generator = random.Random(7)


def picture(width, height):
    """Colours that run, edges, and noise."""
    image = Image.new('RGB', (width, height))
    for y in range(height):
        for x in range(width):
            edge = 90 if math.hypot(x - width / 2, y - height / 3) < height / 4 else 0
            image.putpixel((x, y), (min(255, 255 * x // width + edge // 2), (255 * y // height + edge) % 256,
                                    int(127 + 100 * math.sin(x / 5 + y / 9)) + generator.randrange(20)))
    return image


def expected(name, kind=Image.BILINEAR, ending='.expected.png'):
    image = Image.open(name).convert('RGB')
    width, height = image.size
    if width < height:
        size = SIDE, int(SIDE * height / width)
    else:
        size = int(SIDE * width / height), SIDE
    image = image.resize(size, kind)
    top, left = round((image.height - CROP) / 2.0), round((image.width - CROP) / 2.0)
    image.crop((left, top, left + CROP, top + CROP)).save(name.rsplit('.', 1)[0] + ending, optimize=True)


wide, tall = picture(131, 97), picture(75, 120)
wide.save('baseline.jpg', quality=85)
tall.save('progressive.jpeg', quality=90, progressive=True, subsampling=0)
wide.convert('L').save('grey.jpg', quality=85)
tall.convert('CMYK').save('ink.jpg', quality=85)
wide.save('rgb.png', optimize=True)
tall.quantize(40).save('palette.png', optimize=True)
with_alpha = wide.resize((53, 40)).convert('RGBA')
with_alpha.putalpha(with_alpha.getchannel('R'))
with_alpha.save('alpha.png', optimize=True)
picture(30, 48).convert('L').save('enlarged.png', optimize=True)
for name in ('baseline.jpg', 'progressive.jpeg', 'grey.jpg', 'ink.jpg', 'rgb.png', 'palette.png', 'alpha.png', 'enlarged.png'):
    expected(name)
with open('baseline.jpg', 'rb') as file:
    data = file.read()
with open('truncated.jpg', 'wb') as file:
    file.write(data[:len(data) // 2])
with open('rgb.png', 'rb') as file:
    data = file.read()
with open('truncated.png', 'wb') as file:
    file.write(data[:len(data) // 2])
with open('garbled.png', 'wb') as file:
    file.write(data[:3000] + bytes(100) + data[3100:])


def turned(image, hue):
    """torchvision's adjust_hue, whose conversion of the number is numpy's."""
    h, s, v = image.convert('HSV').split()
    shifted = numpy.array(h, dtype=numpy.uint8) + numpy.int32(hue * 255).astype(numpy.uint8)
    return Image.merge('HSV', (Image.fromarray(shifted), s, v)).convert('RGB')


for name in ('rgb.png', 'enlarged.png'):
    expected(name, Image.BICUBIC, '.cubic.expected.png')
small = Image.open('alpha.png').convert('RGB')
for colour, image in (('brightness', ImageEnhance.Brightness(small).enhance(1.3)), ('contrast', ImageEnhance.Contrast(small).enhance(0.6)),
                      ('saturation', ImageEnhance.Color(small).enhance(1.4)), ('hue', turned(small, -0.15))):
    image.save(f'alpha.{colour}.expected.png', optimize=True)


# Of the other formats small ones; small.EXPECTED.png is what Pillow decodes, which many of them share.
def save_bmp(name, pixels):
    """16 bits: 5 of red, 6 of green, 5 of blue, from the top; Pillow reads but does not write it."""
    rows = b''.join(struct.pack('<H', (r >> 3) << 11 | (g >> 2) << 5 | b >> 3) for r, g, b in pixels.get_flattened_data())
    with open(name, 'wb') as file:
        file.write(b'BM' + struct.pack('<IHHI', 66 + len(rows), 0, 0, 66) +
                   struct.pack('<IiiHHIIiiII', 40, pixels.width, -pixels.height, 1, 16, 3, len(rows), 0, 0, 0, 0) +
                   struct.pack('<III', 0xf800, 0x7e0, 0x1f) + rows)


tiny = picture(24, 18)
transparent = tiny.copy()
transparent.putalpha(tiny.getchannel('G'))
few, array = tiny.quantize(12), numpy.asarray(tiny)
tiny.save('small.lossy.webp', quality=70)
transparent.save('small.rgb.webp', lossless=True, exact=True)
tiny.save('small.rgb_first.webp', lossless=True, save_all=True, append_images=[tiny.rotate(180)], duration=50)
few.save('small.few.gif', interlace=1)
few.save('small.few_first.gif', save_all=True, append_images=[few.rotate(180)], duration=50, interlace=0)
transparent.save('small.rgb.tif', compression='tiff_lzw')
tifffile.imwrite('small.rgb_tiles.tif', array.astype(numpy.uint16) * 257, tile=(16, 16), photometric='rgb', compression='zlib', byteorder='>')
tifffile.imwrite('small.rgb_planes.tif', numpy.ascontiguousarray(array.transpose(2, 0, 1)), photometric='rgb', planarconfig='separate',
                 compression='zlib')
few.save('small.few.tif')
tiny.convert('CMYK').save('small.ink.tif', compression='tiff_lzw')
tiny.convert('L').save('small.turned.tif', tiffinfo={274: 6}, compression='tiff_lzw')
tiny.convert('1').save('small.bits.tif', compression='group4')
tiny.save('small.rgb.bmp')
few.save('small.few.bmp')
tiny.convert('1').save('small.bits.bmp')
save_bmp('small.words.bmp', tiny)
tiny.save('small.rgb.ppm')
tiny.convert('L').save('small.grey.pgm')
for name in ('lossy.webp', 'rgb.webp', 'few.gif', 'ink.tif', 'turned.tif', 'bits.bmp', 'words.bmp', 'grey.pgm'):
    Image.open(f'small.{name}').convert('RGB').save(f'small.{name.split(".")[0]}.png', optimize=True)

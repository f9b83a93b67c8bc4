#!/usr/bin/env python3
"""Makes the pictures beside this script with Pillow, and what becomes of them: NAME.expected.png is Pillow's resize of the short side to 48
(bilinear), of which the middle 42 x 42 is cut out as torchvision does; NAME.cubic.expected.png the same with the bicubic filter;
alpha.COLOUR.expected.png what torchvision's colour functions make of alpha.png. Nothing in the tests needs it again."""
import math
import os
import random

import numpy
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

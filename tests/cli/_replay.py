"""A tiny search and a tiny training once more, in plain Python and doubles, from the equations (docs/language.md, docs/recipes.md): the
networks of steps.py, their gradients by reverse differentiation number by number, clipped SGD with momentum, Adam. Only the draws
(_draws.py) and the names of weights are ndarts'."""
import math

import _draws

CHANNELS, CLASSES = 2, 3


class Number:
    """A value that remembers what it was made of, and the derivative with respect to each."""

    def __init__(self, value, made_of=()):
        self.value, self.made_of, self.gradient = value, made_of, 0.0

    def __add__(self, other):
        other = number(other)
        return Number(self.value + other.value, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        other = number(other)
        return Number(self.value * other.value, ((self, other.value), (other, self.value)))

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other):
        other = number(other)
        return Number(self.value / other.value, ((self, 1 / other.value), (other, -self.value / other.value**2)))

    def exp(self):
        value = math.exp(self.value)
        return Number(value, ((self, value),))

    def log(self):
        return Number(math.log(self.value), ((self, 1 / self.value),))

    def differentiate(self):
        """The gradients of all it was made of."""
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            at, is_done = stack.pop()
            if is_done:
                order.append(at)
            elif id(at) not in seen:
                seen.add(id(at))
                stack.append((at, True))
                stack.extend((part, False) for part, _ in at.made_of)
        self.gradient = 1.0
        for at in reversed(order):
            for part, slope in at.made_of:
                part.gradient += slope * at.gradient


def number(value):
    return value if isinstance(value, Number) else Number(value)


def softmax(values):
    powers = [value.exp() for value in values]
    total = sum(powers)
    return [power / total for power in powers]


def product(matrix, vector):
    """matrix: row by row in one list."""
    wide = len(vector)
    return [sum(matrix[row * wide + i] * vector[i] for i in range(wide)) for row in range(len(matrix) // wide)]


def deviation(batch):
    """Of all numbers of a batch, the unbiased one."""
    values = [channel.value for image in batch for pixel in image for channel in pixel]
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean)**2 for value in values) / (len(values) - 1))


class Pass:
    """One forward pass: the numbers that it was given, its parameters, its images (a batch of pixels of channels) and their labels."""

    def __init__(self, parameters, images, labels, given):
        self.parameters = {name: [Number(value) for value in values] for name, values in parameters.items()}
        self.given, self.labels = given, labels
        self.batch = [[[pixel] for pixel in image] for image in images]

    def convolve(self, name):
        return [[product(self.parameters[name], pixel) for pixel in image] for image in self.batch]

    def noisy(self, stream, std, mean):
        given, amount = self.given, std * deviation(self.batch)

        def noise(image, element):
            z = _draws.normal(given['seed'], stream, given['step'], given['image_base'] + image, element)
            return given['noise_decay'] * (mean + amount * z)
        return [[[channel + noise(i, p * CHANNELS + c) for c, channel in enumerate(pixel)] for p, pixel in enumerate(image)]
                for i, image in enumerate(self.batch)]

    def dropped(self, stream, batch):
        given, keep = self.given, self.given['drop_keep']

        def factor(image):
            return (_draws.uniform(given['seed'], stream, given['step'], given['image_base'] + image) < keep) / keep
        return [[[channel * factor(i) for channel in pixel] for pixel in image] for i, image in enumerate(batch)]

    def combine(self, first, second, weights=(1.0, 1.0)):
        self.batch = [[[weights[0] * a + weights[1] * b for a, b in zip(*pixels)] for pixels in zip(*images)] for images in zip(first, second)]

    def mixed(self, cell, alphas, std, mean):
        """Of skip, with noise and drop path, and mix."""
        skipped = self.dropped(f'mask.{cell}._ops.0', self.noisy(f'noise.{cell}._ops.0', std, mean))
        self.combine(skipped, self.convolve(f'{cell}._ops.0._ops.1.weight'), softmax(self.parameters[alphas]))

    def loss(self):
        """Cross entropy of what the pool and the linear layer make of the batch, and all gradients."""
        total = Number(0.0)
        for image, label in zip(self.batch, self.labels):
            pooled = [sum(pixel[c] for pixel in image) / len(image) for c in range(CHANNELS)]
            logits = [a + b for a, b in zip(product(self.parameters['classifier.weight'], pooled), self.parameters['classifier.bias'])]
            total = total + softmax(logits)[label].log() * -1.0
        loss = total / len(self.batch)
        loss.differentiate()
        return loss.value, {name: [value.gradient for value in values] for name, values in self.parameters.items()}


def search_pass(parameters, images, labels, given, std, mean):
    one = Pass(parameters, images, labels, given)
    one.batch = one.convolve('stem.weight')
    one.mixed('a', 'alphas_normal', std, mean)
    one.mixed('b', 'alphas_reduce', std, mean)
    return one.loss()


def train_pass(parameters, images, labels, given):
    """The genotype's cell adds mix, whose paths are dropped, to skip, which is the identity."""
    one = Pass(parameters, images, labels, given)
    one.batch = one.convolve('stem.weight')
    one.combine(one.dropped('mask.a._ops.0', one.convolve('a._ops.0.weight')), one.batch)
    return one.loss()


def is_alpha(name):
    return name.startswith('alphas')


def sgd(parameters, state, gradients, rate, momentum, decay, clip):
    """Of the weights; all their gradients are clipped together, before decay."""
    names = [name for name in parameters if not is_alpha(name)]
    norm = math.sqrt(sum(g * g for name in names for g in gradients[name]))
    factor = min(1.0, clip / (norm + 1e-6))
    for name in names:
        memory = state.setdefault(name, [0.0] * len(parameters[name]))
        for i, value in enumerate(parameters[name]):
            memory[i] = momentum * memory[i] + factor * gradients[name][i] + decay * value
            parameters[name][i] = value - rate * memory[i]


def adam(parameters, state, gradients, rate, betas, update, decay):
    """Of the alphas; update counts from 1."""
    for name in filter(is_alpha, parameters):
        m, v = state.setdefault(name, ([0.0] * len(parameters[name]), [0.0] * len(parameters[name])))
        for i, value in enumerate(parameters[name]):
            gradient = gradients[name][i] + decay * value
            m[i] = betas[0] * m[i] + (1 - betas[0]) * gradient
            v[i] = betas[1] * v[i] + (1 - betas[1]) * gradient * gradient
            first, second = m[i] / (1 - betas[0]**update), v[i] / (1 - betas[1]**update)
            parameters[name][i] = value - rate * first / (math.sqrt(second) + 1e-8)

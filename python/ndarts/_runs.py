"""Searches, trainings and evaluations in this process: with a callback for each epoch and each step, and with Ctrl-C as in the
shell: what was reached is saved, and resume=True goes on bit for bit."""
import ctypes
import json
import os
import math
import re
import signal
import struct
import threading
from ctypes import byref, sizeof
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

import numpy as np

from . import _library as lib
from ._errors import Interrupted
from ._net import Net


class Epoch(Dict[str, Any]):
    """What was measured in an epoch, as metrics.jsonl has it: epoch["train_loss"]; and besides

    epoch, epochs: its number, from 0, and how many there are. accuracy, loss: on the images that are not trained on, of a search
    those of the alphas, 0..1; a loss that is no number is nan. genotype: of a search, a text that compiles. seconds, images_per_second.
    """
    epoch: int
    epochs: int
    accuracy: float
    loss: float
    genotype: Optional[str]
    seconds: float
    images_per_second: float

    def __init__(self, given: lib.RunEpoch):
        super().__init__(json.loads(given.metrics))
        self.epoch, self.epochs = given.epoch, given.epochs
        self.accuracy, self.loss = (math.nan if self[name] is None else self[name] for name in ('valid_accuracy', 'valid_loss'))
        self.genotype = given.genotype.decode() if given.genotype else None
        self.seconds, self.images_per_second = given.seconds, given.images_per_second


class Step:
    """A step that is done: step of steps in the epoch, from 1; loss and accuracy are means of the epoch so far."""

    def __init__(self, given: lib.RunStep):
        self.epoch, self.epochs, self.step, self.steps = given.epoch, given.epochs, given.step, given.steps
        self.loss, self.accuracy, self.images_per_second = given.loss, given.accuracy, given.images_per_second

    def __repr__(self) -> str:
        return f'<epoch {self.epoch + 1}/{self.epochs} step {self.step}/{self.steps} loss {self.loss:.4f} accuracy {self.accuracy:.4f}>'


def _lines(*path: str) -> List[Dict[str, Any]]:
    if not os.path.exists(os.path.join(*path)):
        return []
    with open(os.path.join(*path), encoding='utf-8') as file:
        return [json.loads(line) for line in file if line.endswith('\n')]  # a run that was killed may have left half a line


def _read_safetensors(path: str, wanted: Callable[[str], bool]) -> Dict[str, np.ndarray]:
    """Floats of a file that ndarts wrote."""
    with open(path, 'rb') as file:
        size, = struct.unpack('<Q', file.read(8))
        header = json.loads(file.read(size))
        found = {}
        for name, entry in header.items():
            if name != '__metadata__' and wanted(name):
                first, end = entry['data_offsets']
                file.seek(8 + size + first)
                dtype = {'F32': '<f4', 'F64': '<f8'}[entry['dtype']]
                found[name] = np.frombuffer(file.read(end - first), dtype).reshape(entry['shape'])
    return found


class Run:
    """What a search or a training left in its folder. `ndarts-run report FOLDER` and the other commands take it too."""

    def __init__(self, out: str):
        self.out = out

    def path(self, name: str) -> str:
        return os.path.join(self.out, name)

    @property
    def metrics(self) -> List[Dict[str, Any]]:
        """A dict for each epoch: pandas.DataFrame(run.metrics) is a table."""
        return _lines(self.out, 'metrics.jsonl')

    def __repr__(self) -> str:
        return f'<ndarts.{type(self).__name__} {self.out}, {len(self.metrics)} epochs>'


class SearchRun(Run):
    """Of a search."""

    @property
    def genotype(self) -> str:
        """The text of the genotype that was found, with a network and a training of it."""
        with open(self.path('genotype.nd'), encoding='utf-8') as file:
            return file.read()

    @property
    def alphas(self) -> Dict[str, np.ndarray]:
        """The architecture parameters after the last epoch: edges x candidates for each kind of cell, by their names."""
        return _read_safetensors(self.path('checkpoint.safetensors'), lambda name: re.match('(alphas|betas)[^/]*$', name) is not None)

    @property
    def alphas_by_epoch(self) -> List[Dict[str, Any]]:
        """The weights of the candidates after each epoch, a list of rows for each kind of cell."""
        return _lines(self.out, 'alphas.jsonl')


class TrainRun(Run):
    """Of a training."""

    @property
    def result(self) -> Dict[str, Any]:
        """How it ended: {"last": {"accuracy": ...}, "best": ..., "test": ...}."""
        with open(self.path('result.json'), encoding='utf-8') as file:
            return json.load(file)

    @property
    def accuracy(self) -> float:
        """The one to quote, 0..1: on the test images with the weights that the hold-out chose, else of the last epoch."""
        return self.result.get('test', self.result['last'])['accuracy']

    @property
    def weights(self) -> str:
        """The path of the weights of the last epoch; load_state_dict takes it."""
        return self.path('weights.safetensors')

    @property
    def best_weights(self) -> str:
        """Likewise of the best epoch."""
        return self.path('best.safetensors')


class _Watch:
    """The callbacks of a run. What they raise, or the handler of a signal (Ctrl-C has one), ends it: it is raised again when the
    run has saved itself. Where Python runs a handler, inside a callback, nobody could catch what it raises: so each is called by
    another one meanwhile, which keeps that for later, and the run ends between two steps."""

    def __init__(self, on_epoch: Optional[Callable], on_step: Optional[Callable], on_message: Optional[Callable]):
        self.raised: Optional[BaseException] = None
        self.stopping = self.watching = False
        self.handlers: Dict[int, Callable] = {}
        self.stop = lib.ON_STOP(lambda _: self.stopping)
        self.epoch = lib.ON_EPOCH(lambda _, given: self.tell(on_epoch, lambda: Epoch(given.contents)))
        self.step = lib.ON_STEP(lambda _, given: self.tell(on_step, lambda: Step(given.contents)))
        self.say = lib.ON_SAY(lambda _, text: self.tell(on_message, lambda: text.decode('utf-8', 'replace')))

    def tell(self, callback: Optional[Callable], make: Callable) -> None:
        if callback is None or self.stopping:
            return
        try:
            if callback(make()) is False:
                self.stopping = True
        except BaseException as raised: # also KeyboardInterrupt: the run saves itself first
            self.raised, self.stopping = raised, True

    def __enter__(self) -> '_Watch':
        if threading.current_thread() is threading.main_thread():
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler):
                    self.handlers[number] = handler
                    signal.signal(number, self.handle)
        self.watching = True
        return self

    def handle(self, number: int, frame: Any) -> None:
        """One that comes while the handlers are changed goes its usual way."""
        try:
            self.handlers[number](number, frame)
        except BaseException as raised:
            if not self.watching:
                raise
            if self.handlers[number] is not signal.default_int_handler: # else Interrupted says more
                self.raised = raised
            self.stopping = True

    def __exit__(self, *_exception: Any) -> None:
        self.watching = False
        for number, handler in self.handlers.items():
            if signal.getsignal(number) == self.handle: # nobody set another one
                signal.signal(number, handler)


def _folder(path: Optional[bytes], out: Optional[lib.PathOrText]) -> str:
    if out is not None:
        return os.fspath(out)
    return os.path.join('runs', re.sub(r'\.nd$', '', os.path.basename(os.fsdecode(path or b'text'))))


def _run(function: str, given: lib.PathOrText, out: Optional[lib.PathOrText], watch: _Watch, set: Optional[lib.Settings], device: Optional[str],
         precision: str, threads: int, seed: Optional[int], recipe: Optional[lib.PathOrText], init: Optional[lib.PathOrText],
         **others: Any) -> str:
    path, text = lib.split(given)
    folder = _folder(path, out)
    first = 0 if seed is None else lib.integer('seed', seed, 0, lib.MOST_UINT64)
    options = lib.options(text, set, device=device, precision=precision, threads=threads)
    with watch:
        run = lib.Run(size=sizeof(lib.Run), path=path, options=options, out=lib.encode(folder), recipe=lib.encode_any(recipe), init=lib.encode_any(init),
                      has_seed=seed is not None, seed=first, stop=watch.stop, step=watch.step, epoch=watch.epoch, say=watch.say, **others)
        try:
            lib.call_for_text(function, byref(run))
        except Interrupted as interrupted:
            if watch.raised is not None:
                raise watch.raised from interrupted
            raise
    if watch.raised is not None: # in the last words of a run that is complete
        raise watch.raised
    return folder


def search(path_or_text: lib.PathOrText, *, set: Optional[lib.Settings] = None, out: Optional[lib.PathOrText] = None, resume: bool = False,
           on_epoch: Optional[Callable[[Epoch], Any]] = None, on_step: Optional[Callable[[Step], Any]] = None,
           on_message: Optional[Callable[[str], Any]] = None, seed: Optional[int] = None, device: Optional[str] = None, precision: str = 'f32',
           threads: int = 0, recipe: Optional[lib.PathOrText] = None, init: Optional[lib.PathOrText] = None,
           cost: Optional[lib.PathOrText] = None, allow_different_build: bool = False,
           allow_different_data: bool = False, tensorboard: bool = False, log_steps: bool = False) -> SearchRun:
    """Searches as `ndarts-run search` does, with the same results, bit for bit, in the folder out (runs/NAME).

    set: {"search.epochs": 4}. on_epoch, on_step: called when an epoch is written down, when a step is done. on_message: what the
    program would say, in whole lines with their ends. A callback that returns False, or raises, ends the run when it has saved
    itself; so do Ctrl-C and whatever else the handler of a signal raises. Then Interrupted, or what was raised, comes out of this
    call, and resume=True goes on where it was. One run at a time in a process; the GIL is free meanwhile. cost: for the objective
    latency, the path of a table that ndarts.cost gave, as JSON. The others are the options of `ndarts-run search`.
    """
    watch = _Watch(on_epoch, on_step, on_message)
    return SearchRun(_run('ndarts_search', path_or_text, out, watch, set, device, precision, threads, seed, recipe, init, costs=lib.encode_any(cost), resume=resume,
                          allow_different_build=allow_different_build, allow_different_data=allow_different_data, tensorboard=tensorboard,
                          log_steps=log_steps))


def train(path_or_text: lib.PathOrText, *, recipe: Optional[lib.PathOrText] = None, set: Optional[lib.Settings] = None, out: Optional[lib.PathOrText] = None,
          resume: bool = False, on_epoch: Optional[Callable[[Epoch], Any]] = None, on_step: Optional[Callable[[Step], Any]] = None,
          on_message: Optional[Callable[[str], Any]] = None, seed: Optional[int] = None, device: Optional[str] = None, precision: str = 'f32',
          threads: int = 0, init: Optional[lib.PathOrText] = None, allow_different_build: bool = False, allow_different_data: bool = False,
          tensorboard: bool = False, log_steps: bool = False) -> TrainRun:
    """Trains as `ndarts-run train` does. recipe: a text that says how, its path or its name in specs/recipes. All else as of search."""
    watch = _Watch(on_epoch, on_step, on_message)
    return TrainRun(_run('ndarts_train', path_or_text, out, watch, set, device, precision, threads, seed, recipe, init, resume=resume,
                         allow_different_build=allow_different_build, allow_different_data=allow_different_data, tensorboard=tensorboard,
                         log_steps=log_steps))


def evaluate(path_or_text: lib.PathOrText, weights: Union[lib.PathOrText, Mapping[str, Any], Net, None] = None, *, data: Optional[str] = None,
             part: str = 'test', recipe: Optional[lib.PathOrText] = None, batch: int = 0, set: Optional[lib.Settings] = None, device: Optional[str] = None,
             precision: str = 'f32', threads: int = 0, network: Optional[str] = None) -> Dict[str, Any]:
    """Loss and accuracies of a network on a data set, as `ndarts-run eval --json` prints them.

    weights: a safetensors file, a dict of arrays, or a net; none of a module that has its own. data: 'cifar10("PATH")'; else that
    of the text's training, or of the recipe. part: "test" or "train". batch: 0 for 64.
    """
    path, text = lib.split(path_or_text)
    options = lib.options(text, set, batch=batch, device=device, precision=precision, threads=threads, network=network)
    evaluation = lib.Evaluate(size=sizeof(lib.Evaluate), path=path, options=options, data=lib.encode_any(data), part=lib.encode(part),
                              recipe=lib.encode_any(recipe))
    if isinstance(weights, Net):
        weights = weights.state_dict()
    if isinstance(weights, Mapping):
        evaluation.arrays, _kept = lib.to_arrays(weights)
        evaluation.array_count = len(weights)
    elif weights is not None:
        evaluation.weights = lib.encode(weights)
    return json.loads(lib.call_for_text('ndarts_evaluate', byref(evaluation)))

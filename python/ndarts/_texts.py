"""Texts about texts: their forms on the way to a module, their statistics, drawings, and genotypes of architecture
parameters."""
import json
import os
from ctypes import byref, sizeof
from typing import Any, Dict, Mapping, Optional, Union

from . import _library as lib


def ir(path_or_text: lib.PathOrText, *, after: Optional[str] = None, graph: Optional[str] = None, form: str = 'ir',
       batch: int = 0, precision: str = 'f32', set: Optional[lib.Settings] = None, network: Optional[str] = None) -> str:
    """A text at any level of the compiler, as `ndartsc` prints it.

    form: "ast", "ir", "stages", "plan", "c", "cu", "dot". graph: of which step ("infer", "train", "search-weights", ...);
    without one what the text is for, and as IR the network as it is described. after: instead, the IR as it is behind
    the pass of that name ("differentiate", "fuse-mixed-op"), for each graph.
    """
    path, text = lib.split(path_or_text)
    options = lib.options(text, set, batch=batch, precision=precision, network=network)
    return lib.call_for_text('ndarts_ir', path, byref(options), *map(lib.encode_any, (form, graph, after)))


def stats(path_or_text: lib.PathOrText, *, set: Optional[lib.Settings] = None, network: Optional[str] = None) -> Dict[str, int]:
    """The size of a network and what it computes for an image: {"parameters": ..., "macs": ..., ...}."""
    path, text = lib.split(path_or_text)
    return json.loads(lib.call_for_text('ndarts_stats', path, byref(lib.options(text, set, network=network))))


def cost(path_or_text: lib.PathOrText, *, batch: int = 1, device: Optional[str] = None, precision: str = 'f32', threads: int = 0,
         set: Optional[lib.Settings] = None) -> Dict[str, Any]:
    """What each operation of a network, or each candidate of a search, costs here in inference, as `ndarts-run cost` measures it.

    {"items": [{"name": "sep_conv_3x3_16_1", "ms": ..., "bytes": ..., "multiply_adds": ..., ...}, ...], "rest_ms": ..., "sum_ms": ..., ...}
    """
    path, text = lib.split(path_or_text)
    options = lib.options(text, set, batch=batch, device=device, precision=precision, threads=threads)
    return json.loads(lib.call_for_text('ndarts_cost', path, byref(options)))


class Drawing(str):
    """An SVG document; a notebook shows it."""

    def _repr_svg_(self) -> str:
        return str(self)


def draw(genotype: lib.PathOrText, *, set: Optional[lib.Settings] = None, network: Optional[str] = None) -> Drawing:
    """The cells of a genotype's network as an SVG document, which a notebook shows. It takes Graphviz (`dot`)."""
    path, text = lib.split(genotype)
    return Drawing(lib.call_for_text('ndarts_draw', path, byref(lib.options(text, set, network=network))))


def derive(alphas: Union[lib.PathOrText, Mapping[str, Any]], *, spec: Optional[lib.PathOrText] = None, name: Optional[str] = None,
           keep_ops: Optional[int] = None, epoch: int = -1) -> str:
    """The genotype of architecture parameters, as a text that compiles.

    alphas: arrays by their names, {"alphas_normal": edges x candidates, "alphas_reduce": ...}; or the path of a checkpoint,
    a safetensors file, an alphas.jsonl (of which epoch is a line, -1 the last) or a search's folder. spec: the search that they
    are of; without one what the file says, else the cells of DARTS. keep_ops: a space of so many candidates on each edge
    instead.
    """
    derive = lib.Derive(size=sizeof(lib.Derive), name=lib.encode_any(name), epoch=lib.integer('epoch', epoch, -1, lib.MOST_INT64))
    if keep_ops is not None:
        derive.keep_ops = lib.integer('keep_ops', keep_ops, 1, lib.MOST_INT)
    if spec is not None:
        derive.spec, derive.spec_text = lib.split(spec)
    if isinstance(alphas, (str, os.PathLike)):
        derive.path = lib.encode(alphas)
    else:
        derive.arrays, _kept = lib.to_arrays(alphas)
        derive.array_count = len(alphas)
    return lib.call_for_text('ndarts_derive', byref(derive))

#!/usr/bin/env python3
"""One way of doing one piece of work, in a process of its own; compare.py starts it and says when to run.

    peer_worker.py WORK WAY [--batch N] [--threads N] [--channels N] [--layers N] [--cpu-time]
                   [--weights W.safetensors] [--onnx NET.onnx] [--input X.npy] [--output Y.npy] [--precision f32|bf16]

WORK: search (alphas, then weights), train, infer.  WAY: eager, channels_last, compile (torch.compile, channels_last), compile_parts (each
mixed operation or cell is compiled instead of the network: minutes instead of half an hour for a supernet); for infer also onnxruntime, openvino (of --onnx) and openvino_torch (converted from PyTorch). bf16
is for infer, by PyTorch and OpenVINO.
Speaks JSON lines: first {"ready": seconds, ...}; for every number N on stdin the seconds of N runs; at the end {"resident_mb": peak}.
"""
import argparse
import json
import os
import sys
import time

import numpy

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')


def say(**what):
    print(json.dumps(what), flush=True)


def peak_memory():
    """Bytes this process ever had resident."""
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith('VmHWM'))


def import_torch(options):
    import torch
    torch.set_num_threads(options.threads)
    torch.manual_seed(10)
    if options.way.startswith('compile'):
        import torch._inductor.config as inductor
        import torch._dynamo.config as dynamo
        inductor.freezing = options.work == 'infer'
        dynamo.recompile_limit = dynamo.cache_size_limit = 256
    return torch


def place(options, torch, thing):
    return thing if options.way == 'eager' else thing.to(memory_format=torch.channels_last)


def compiled(options, torch, network):
    if options.way == 'compile_parts':
        for cell in network.cells:
            for part in cell._ops if options.work == 'search' else [cell]:
                part.compile(dynamic=False)
    return torch.compile(network, dynamic=False) if options.way == 'compile' else network


def data(options, torch):
    images = torch.from_numpy(images_array(options))
    return place(options, torch, images), torch.arange(options.batch) % 10


def images_array(options):
    if options.input:
        return numpy.load(options.input)[:options.batch]
    return numpy.random.default_rng(10).uniform(-1, 1, (options.batch, 3, 32, 32)).astype(numpy.float32)


def search(options):
    """One first-order search step: Adam on the alphas, SGD on the weights, gaussian noise and drop path on the skip."""
    torch = import_torch(options)
    from peer_torch import Noise, SearchNetwork
    functional = torch.nn.functional
    network = place(options, torch, SearchNetwork(options.channels, options.layers, noise=Noise('gaussian', factor=0.2, keep=0.7)).train())
    run = compiled(options, torch, network)
    images, labels = data(options, torch)
    alphas, weights = network.alphas(), network.weights()
    adam = torch.optim.Adam(alphas, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3, fused=True)
    sgd = torch.optim.SGD(weights, lr=0.025, momentum=0.9, weight_decay=3e-4, fused=True)

    def step():
        # The gradients of the weights are not asked for, so that autograd does not compute them here.
        for weight in weights:
            weight.requires_grad_(False)
        adam.zero_grad()
        functional.cross_entropy(run(images), labels).backward()
        adam.step()
        for weight in weights:
            weight.requires_grad_(True)
        sgd.zero_grad()
        functional.cross_entropy(run(images), labels).backward()
        torch.nn.utils.clip_grad_norm_(weights, 5)
        sgd.step()

    return step


def make_network(options, torch, auxiliary, keep):
    from peer_torch import GenotypeNetwork, load, read_genotype, read_safetensors
    genotype = read_genotype(f'{ROOT}/genotypes/noisy_darts_a.nd', 'noisy_darts_a')
    network = GenotypeNetwork(genotype, options.channels, options.layers, auxiliary=auxiliary, keep=keep)
    if options.weights:
        load(network, read_safetensors(options.weights)[0])
    return network


def train(options):
    torch = import_torch(options)
    functional = torch.nn.functional
    network = place(options, torch, make_network(options, torch, True, 0.9).train())
    run = compiled(options, torch, network)
    images, labels = data(options, torch)
    sgd = torch.optim.SGD(network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4, fused=True)

    def step():
        sgd.zero_grad()
        logits, auxiliary = run(images)
        (functional.cross_entropy(logits, labels) + 0.4 * functional.cross_entropy(auxiliary, labels)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5)
        sgd.step()

    return step


def infer_torch(options):
    torch = import_torch(options)
    dtype = torch.bfloat16 if options.precision == 'bf16' else torch.float32
    network = place(options, torch, make_network(options, torch, False, 1).eval().to(dtype))
    run = compiled(options, torch, network)
    images = data(options, torch)[0].to(dtype)

    def step():
        # Freezing wants no_grad, not inference_mode.
        with torch.no_grad():
            return run(images).float().numpy()

    return step


def infer_onnxruntime(options):
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(options.onnx, settings, ['CPUExecutionProvider'])
    images = images_array(options)
    return lambda: session.run(None, {'input': images})[0]


def infer_openvino(options):
    import openvino
    core = openvino.Core()
    if options.way == 'openvino':
        model = core.read_model(options.onnx)
    else:
        torch = import_torch(options)
        model = openvino.convert_model(make_network(options, torch, False, 1).eval(), example_input=torch.zeros(options.batch, 3, 32, 32))
    model.reshape([options.batch, 3, 32, 32])
    # Unless it is told otherwise it computes in bfloat16 on processors that have that.
    compiled = core.compile_model(model, 'CPU', {'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': '1', 'INFERENCE_NUM_THREADS': options.threads,
                                                 'INFERENCE_PRECISION_HINT': options.precision})
    request, images = compiled.create_infer_request(), images_array(options)
    return lambda: request.infer([images], share_inputs=True)[compiled.output(0)]


def make_step(options):
    if options.work == 'search':
        return search(options)
    if options.work == 'train':
        return train(options)
    if options.way == 'onnxruntime':
        return infer_onnxruntime(options)
    return infer_openvino(options) if options.way.startswith('openvino') else infer_torch(options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work', choices=('search', 'train', 'infer'))
    parser.add_argument('way', choices=('eager', 'channels_last', 'compile', 'compile_parts', 'onnxruntime', 'openvino', 'openvino_torch'))
    for name, default in (('batch', 16), ('threads', 2), ('channels', 16), ('layers', 8)):
        parser.add_argument(f'--{name}', type=int, default=default)
    for name in ('weights', 'onnx', 'input', 'output'):
        parser.add_argument(f'--{name}')
    parser.add_argument('--precision', choices=('f32', 'bf16'), default='f32')
    parser.add_argument('--cpu-time', action='store_true')
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    began = time.perf_counter()
    step = make_step(options)
    result = step()
    if options.output:
        numpy.save(options.output, result)
    step()
    say(ready=time.perf_counter() - began)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = clock()
            step()
            seconds.append(clock() - start)
        say(seconds=seconds)
    say(resident_mb=peak_memory() / 1e6)


main()

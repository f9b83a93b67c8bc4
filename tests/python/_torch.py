"""ndarts.torch: run by torch.py with a Python that has PyTorch: gradients by torch.autograd.gradcheck, and a training beside that of
the same network in PyTorch, step by step."""
import ndarts
import ndarts.torch
import numpy as np
import torch

NETWORK = '''network main(classes ?= 5, H = 6, W = 6, channels = 3) on x {
    return x | conv: conv(4, 3, pad = 1) | batch_norm | swish | global_avg_pool | classifier: linear(classes)
}
'''


class Failure(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


def make_peer():
    layers = torch.nn.Sequential()
    layers.add_module('conv', torch.nn.Conv2d(3, 4, 3, padding=1, bias=False))
    layers.add_module('1', torch.nn.BatchNorm2d(4))
    layers.add_module('act', torch.nn.SiLU())
    layers.add_module('pool', torch.nn.AdaptiveAvgPool2d(1))
    layers.add_module('flat', torch.nn.Flatten())
    layers.add_module('classifier', torch.nn.Linear(4, 5))
    return layers.double()


def make(batch=4):
    net = ndarts.compile(NETWORK, kind='train', precision='f64', batch=batch, threads=1)
    model, peer = ndarts.torch.Module(net), make_peer()
    missing = peer.load_state_dict(model.state_dict(), strict=False)
    expect(missing.missing_keys in ([], ['1.num_batches_tracked']) and not missing.unexpected_keys, missing)
    return model, peer


def test_gradcheck():
    torch.manual_seed(1)
    model, _ = make()
    images = torch.randn(4, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in model.named_parameters()]

    def call(x, *values):
        return torch.func.functional_call(model, dict(zip(names, values)), (x,))

    values = [value.detach().clone().requires_grad_() for value in model.parameters()]
    expect(torch.autograd.gradcheck(call, (images, *values), eps=1e-6, atol=1e-6), 'gradcheck')


def train(model, seed):
    torch.manual_seed(seed)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, weight_decay=1e-3)
    losses = []
    for step in range(12):
        images, labels = torch.randn(4 if step % 3 else 3, 3, 6, 6, dtype=torch.float64), torch.randint(0, 5, (4 if step % 3 else 3,))
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return np.array(losses)


def test_training():
    """In PyTorch's own loop: the losses, the weights and the statistics of PyTorch's network; then evaluated."""
    model, peer = make()
    ours, theirs = train(model, 3), train(peer, 3)
    expect(np.abs(ours - theirs).max() < 1e-9 and theirs.std() > 0.01, f'{ours}\n{theirs}')
    for name, value in peer.state_dict().items():
        if not name.endswith('num_batches_tracked'):
            expect((value - model.state_dict()[name]).abs().max() < 1e-9, name)
    images = torch.randn(11, 3, 6, 6, dtype=torch.float64)
    expect((model.eval()(images) - peer.eval()(images)).abs().max() < 1e-9, 'evaluation')


def test_tensors():
    """What PyTorch has goes in: DLPack, tensors with gradients, bfloat16, state_dicts."""
    net, peer = ndarts.compile(NETWORK, precision='f64'), make_peer()
    net.load_state_dict(peer.state_dict())
    images = torch.randn(3, 3, 6, 6)
    expected = peer.eval()(images.double()).detach().numpy()
    expect(np.abs(net(images) - expected).max() < 1e-9 and np.abs(net(images.requires_grad_()) - expected).max() < 1e-9, 'tensors as images')
    expect(net(images.bfloat16()).shape == (3, 5), 'bfloat16')
    torch.save(peer.state_dict(), 'peer.pt')
    net.load_state_dict(torch.load('peer.pt', weights_only=True))
    back = {name: torch.from_numpy(value) for name, value in net.state_dict().items()}
    make_peer().load_state_dict(back)


def backward(logits):
    logits.square().sum().backward()


def test_shared_net():
    """Two modules of one net, whose weights others load too: the gradients of each are those that it has alone."""
    torch.manual_seed(2)
    images = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    one, alone = make()[0], make()[0]
    other = ndarts.torch.Module(one.net)
    for value in other.parameters():
        value.data.mul_(3).add_(1)
    logits = one(images)
    backward(other(images))
    backward(logits)
    backward(alone(images))
    same = lambda: all(torch.equal(a.grad, b.grad) for a, b in zip(one.parameters(), alone.parameters()))
    expect(same(), 'another module came between')
    logits = one(images)
    one.net.load_state_dict({name: np.zeros_like(value) for name, value in one.net.state_dict().items()})
    backward(logits)
    backward(alone(images))
    expect(same(), 'others loaded weights between')


def test_names():
    for name in ('net', 'seed', 'step', 'training', 'forward'):
        try:
            ndarts.torch.Module(ndarts.compile(NETWORK.replace('conv: conv', f'{name}: conv'), kind='train'))
            raise Failure(name)
        except ndarts.InputError as error:
            expect(f"{name}.weight: '{name}' is a name of Module's own" in str(error), error)


def test_mistakes():
    model, _ = make()
    try:
        model(torch.randn(5, 3, 6, 6, dtype=torch.float64))
        raise Failure('a batch that is too large')
    except ndarts.InputError as error:
        expect("'input' has 5 images; a pass has 1 to 4" in str(error), error)
    try:
        ndarts.torch.Module(ndarts.compile(NETWORK))(torch.randn(2, 3, 6, 6))
        raise Failure('a net that only infers')
    except ndarts.InputError as error:
        expect('kind train' in str(error), error)


def main():
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith('test_'):
            continue
        try:
            test()
            print(f'  ok      {name}')
        except Exception as failure: # whatever it is, the others are run too
            failed += 1
            print(f'  FAILED  {name}: {type(failure).__name__}: {failure}')
    return failed


if __name__ == '__main__':
    raise SystemExit(main())

"""Run by PyTorch's Python: the formula that class_weights.py holds ndarts against is torch.nn.CrossEntropyLoss's, gradient included."""
import random
import sys

import torch

sys.path.insert(0, sys.argv[1])
from class_weights import CLASSES, LISTS, formula  # pylint: disable=wrong-import-position

draw = random.Random(11)
for weights in LISTS:
    for smoothing in (0.0, 0.1, 0.5):
        rows = [[draw.gauss(0, 3) for _ in range(CLASSES)] for _ in range(9)]
        labels = [draw.randrange(CLASSES) for _ in rows]
        logits = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
        loss = torch.nn.CrossEntropyLoss(weight=torch.tensor(weights, dtype=torch.float64), label_smoothing=smoothing)(logits, torch.tensor(labels))
        loss.backward()
        own, gradient = formula(rows, labels, weights, smoothing)
        far = max(abs(own - loss.item()) / abs(own), (torch.tensor(gradient, dtype=torch.float64) - logits.grad).abs().max().item())
        if far > 1e-12:
            sys.exit(f'{weights} {smoothing}: {far}')
print('agree')

"""How the vowels_s4d and s5 examples are trained: which of nine speakers said a vowel.

Four seeds are judged on 90 series that were held out; the best is trained again on all 270.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from data import Series, vowels
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from training import run_epochs, write_arrays

__all__ = ["answers", "main"]


def fit(make: Callable[[], nn.Module], series: Series, seed: int, epochs: int) -> nn.Module:
    """Train on series with noise on every value and one offset a channel (another microphone).

    After each step `net.bound()` is called, if there is such a method.
    """
    torch.manual_seed(seed)
    net = make()
    bound = getattr(net, "bound", lambda: None)
    x, lengths, labels = (torch.tensor(part) for part in series)

    def batches() -> list[tuple]:
        result = []
        for i in torch.randperm(len(x)).split(32):
            frames = int(lengths[i].max())
            noise = 0.3 * torch.randn(len(i), frames, 12) + 0.4 * torch.randn(len(i), 1, 12)
            result.append((x[i, :frames] + noise, lengths[i], labels[i]))
        return result

    def loss(values: Tensor, count: Tensor, target: Tensor) -> Tensor:
        bound()
        return nn.functional.cross_entropy(net(values, count), target, label_smoothing=0.1)

    run_epochs(net, epochs, 5e-3, batches, loss, label=f"seed {seed}")
    bound()
    return net.eval()


@torch.no_grad()
def answers(net: nn.Module, series: Series) -> np.ndarray:
    """What the network answers [series, classes]."""
    return net(torch.tensor(series[0]), torch.tensor(series[1])).numpy()


def main(make: Callable[[], nn.Module], here: Path) -> None:
    """Train and save: model.pt, and what torch answers to the test series (answers.npz)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    parser.add_argument("--out", type=Path, help="folder to write to; default: beside the script")
    args = parser.parse_args()
    args.out = args.out or (Path("build/examples") / here.name if args.quick else here)
    torch.set_num_threads(1)
    epochs, seeds = (4, 1) if args.quick else (100, 4)

    train, test = vowels()
    part, held = train_test_split(
        np.arange(len(train[2])), test_size=90, stratify=train[2], random_state=0
    )
    scores = {}
    for seed in range(1, seeds + 1):
        net = fit(make, tuple(a[part] for a in train), seed, epochs)
        found = answers(net, tuple(a[held] for a in train)).argmax(1)
        scores[seed] = int((found == train[2][held]).sum())
        print(f"seed {seed}: {scores[seed]} of {len(held)} held-out series", flush=True)
    best = max(scores, key=scores.__getitem__)
    print(f"seed {best} is kept; training it again on all {len(train[0])} series", flush=True)
    net = fit(make, train, best, epochs)

    args.out.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), args.out / "model.pt")
    found = answers(net, test)
    write_arrays(args.out / "answers.npz", answers=found)
    count = int((found.argmax(1) == test[2]).sum())
    print(f"test: {count} of {len(found)}, {count / len(found):.4f}")

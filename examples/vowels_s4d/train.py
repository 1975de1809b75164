"""Train the vowels_s4d example: complex state-space neurons tell nine speakers apart.

Run from the repository root: python examples/vowels_s4d/train.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from data import Series, vowels  # noqa: E402
from s4d import S4DNet  # noqa: E402
from training import run_epochs  # noqa: E402


def fit(series: Series, seed: int, epochs: int) -> S4DNet:
    """Train on series with noise on every value and one offset a channel (another microphone)."""
    torch.manual_seed(seed)
    net = S4DNet(12, 32, 4, layers=1, outputs=9, span=(0.05, 1.0), drop=0.1)
    x, lengths, labels = (torch.tensor(part) for part in series)

    def batches() -> list[tuple]:
        result = []
        for i in torch.randperm(len(x)).split(32):
            frames = int(lengths[i].max())
            noise = 0.3 * torch.randn(len(i), frames, 12) + 0.4 * torch.randn(len(i), 1, 12)
            result.append((x[i, :frames] + noise, lengths[i], labels[i]))
        return result

    def loss(values: Tensor, count: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net(values, count), target, label_smoothing=0.1)

    run_epochs(net, epochs, 5e-3, batches, loss, label=f"seed {seed}")
    return net.eval()


@torch.no_grad()
def right(net: S4DNet, series: Series) -> int:
    """How many series it tells right."""
    answers = net(torch.tensor(series[0]), torch.tensor(series[1])).argmax(1).numpy()
    return int((answers == series[2]).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    parser.add_argument("--out", type=Path, help="folder to write to; default: here")
    args = parser.parse_args()
    args.out = args.out or (Path("build/examples/vowels_s4d") if args.quick else HERE)
    torch.set_num_threads(1)
    epochs, seeds = (4, 1) if args.quick else (100, 4)

    train, test = vowels()
    part, held = train_test_split(
        np.arange(len(train[2])), test_size=90, stratify=train[2], random_state=0
    )
    scores = {}
    for seed in range(1, seeds + 1):
        net = fit(tuple(a[part] for a in train), seed, epochs)
        scores[seed] = right(net, tuple(a[held] for a in train))
        print(f"seed {seed}: {scores[seed]} of {len(held)} held-out series", flush=True)
    best = max(scores, key=scores.__getitem__)
    print(f"seed {best} is kept; training it again on all {len(train[0])} series", flush=True)
    net = fit(train, best, epochs)

    args.out.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), args.out / "model.pt")
    count = right(net, test)
    print(f"test: {count} of {len(test[2])}, {count / len(test[2]):.4f}")


if __name__ == "__main__":
    main()

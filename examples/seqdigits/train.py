"""Train the seqdigits example: state-space neurons read a digit pixel by pixel, 64 frames.

Run from the repository root: python examples/seqdigits/train.py [--quick]
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

from data import Series, pixels, stimulus  # noqa: E402
from s4d import S4DNet  # noqa: E402
from training import run_epochs, write_arrays  # noqa: E402


def fit(series: Series, seed: int, epochs: int) -> S4DNet:
    """Train on images with noise on every pixel."""
    torch.manual_seed(seed)
    net = S4DNet(1, 64, 8, layers=2, outputs=10, span=(0.005, 0.2), drop=0.1)
    x, lengths, labels = (torch.tensor(part) for part in series)

    def batches() -> list[tuple]:
        parts = torch.randperm(len(x)).split(64)
        return [(x[i] + 0.1 * torch.randn(x[i].shape), lengths[i], labels[i]) for i in parts]

    def loss(values: Tensor, count: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net(values, count), target, label_smoothing=0.05)

    run_epochs(net, epochs, 5e-3, batches, loss, label="float")
    return net.eval()


@torch.no_grad()
def right(net: nn.Module, series: Series) -> str:
    """How many series it tells right."""
    answers = net(torch.tensor(series[0]), torch.tensor(series[1])).argmax(1).numpy()
    count = int((answers == series[2]).sum())
    return f"{count} of {len(answers)}, {count / len(answers):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    parser.add_argument("--out", type=Path, help="folder to write to; default: here")
    parser.add_argument("--validate", action="store_true", help="only judge on held-out images")
    args = parser.parse_args()
    args.out = args.out or (Path("build/examples/seqdigits") if args.quick else HERE)
    torch.set_num_threads(1)
    epochs = 2 if args.quick else 60

    train, test = pixels()
    if args.validate:
        part, held = train_test_split(
            np.arange(len(train[2])), test_size=287, stratify=train[2], random_state=1
        )
        net = fit(tuple(a[part] for a in train), 1, epochs)
        print(f"held out: {right(net, tuple(a[held] for a in train))}")
        return

    net = fit(train, 1, epochs)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), args.out / "model.pt")
    write_arrays(args.out / "test.npz", **stimulus(test))
    write_arrays(args.out / "calibration.npz", **stimulus(tuple(a[:64] for a in train)))
    print(f"test: {right(net, test)}")


if __name__ == "__main__":
    main()

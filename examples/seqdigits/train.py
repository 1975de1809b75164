"""Train the seqdigits example: state-space neurons read a digit pixel by pixel, 64 frames.

With --qat the trained network is fine-tuned for 4-bit weights (model4.pt): its forward pass rounds
what Nervure's quantiser rounds, and the network with float weights is its teacher.

Run from the repository root: python examples/seqdigits/train.py [--qat] [--quick] [--validate]
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
from quantised import QuantisedNet  # noqa: E402
from s4d import S4DNet  # noqa: E402
from training import run_epochs, write_arrays  # noqa: E402

CALIBRATION = 64
"""Training samples, the first ones, that set number formats."""


def new() -> S4DNet:
    return S4DNet(1, 64, 8, layers=2, outputs=10, span=(0.005, 0.2), drop=0.1)


def batches(series: Series, noise: float) -> list[tuple]:
    """One epoch, with noise on every pixel."""
    x, lengths, labels = (torch.tensor(part) for part in series)
    parts = torch.randperm(len(x)).split(64)
    return [(x[i] + noise * torch.randn(x[i].shape), lengths[i], labels[i]) for i in parts]


def fit(series: Series, epochs: int) -> S4DNet:
    torch.manual_seed(1)
    net = new()

    def loss(values: Tensor, count: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net(values, count), target, label_smoothing=0.05)

    run_epochs(net, epochs, 5e-3, lambda: batches(series, 0.1), loss, label="float")
    return net.eval()


def fine_tune(teacher: S4DNet, bits: int, series: Series, epochs: int) -> QuantisedNet:
    """The network with few bits; half of its loss is how far it is from the teacher."""
    torch.manual_seed(1)
    net, frames = QuantisedNet(teacher, bits), torch.tensor(series[0][:CALIBRATION])

    def loss(values: Tensor, count: Tensor, target: Tensor) -> Tensor:
        score = net(values, count)
        with torch.no_grad():
            aim = teacher(values, count).log_softmax(1)
        far = nn.functional.kl_div(
            score.log_softmax(1), aim, reduction="batchmean", log_target=True
        )
        return 0.5 * (nn.functional.cross_entropy(score, target, label_smoothing=0.05) + far)

    def formats(_: int) -> None:
        net.calibrate(frames)

    run_epochs(
        net, epochs, 1e-3, lambda: batches(series, 0.05), loss, before=formats, label=f"{bits}-bit"
    )
    return net.eval()


@torch.no_grad()
def judge(net: nn.Module, series: Series, label: str, dtype: torch.dtype) -> np.ndarray:
    """What the network answers [series, classes]; prints how many are right."""
    found = net(torch.tensor(series[0], dtype=dtype), torch.tensor(series[1])).numpy()
    count = int((found.argmax(1) == series[2]).sum())
    print(f"{label}: {count} of {len(found)}, {count / len(found):.4f}", flush=True)
    return found


def exactly(state: dict[str, Tensor], bits: int, series: Series) -> QuantisedNet:
    """A state_dict as Nervure computes it: in float64, where integers are exact."""
    net = new().double()
    net.load_state_dict(state)
    made = QuantisedNet(net.eval(), bits)
    made.calibrate(torch.tensor(series[0][:CALIBRATION], dtype=torch.float64))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qat", action="store_true", help="fine-tune model.pt for few bits")
    parser.add_argument("--bits", type=int, choices=range(2, 9), default=4, help="of weights")
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    parser.add_argument("--out", type=Path, help="folder to write to; default: here")
    parser.add_argument("--validate", action="store_true", help="only judge on held-out images")
    args = parser.parse_args()
    out = args.out or (Path("build/examples/seqdigits") if args.quick else HERE)
    torch.set_num_threads(1)
    epochs, tuning = (2, 1) if args.quick else (60, 20)

    train, test = pixels()
    if args.validate:
        part, held = train_test_split(
            np.arange(len(train[2])), test_size=287, stratify=train[2], random_state=1
        )
        train, test = (tuple(a[i] for a in train) for i in (part, held))
    out.mkdir(parents=True, exist_ok=True)
    if out != HERE:
        (out / "nervure.toml").write_text((HERE / "nervure.toml").read_text())
    if args.qat and not args.validate:
        net = new().eval()
        net.load_state_dict(torch.load(HERE / "model.pt", weights_only=True))
    else:
        net = fit(train, epochs)
    found = judge(net, test, "float", torch.float32)
    if not args.qat:
        if not args.validate:
            torch.save(net.state_dict(), out / "model.pt")
            write_arrays(out / "answers.npz", answers=found)
            write_arrays(out / "test.npz", **stimulus(test))
            first = tuple(a[:CALIBRATION] for a in train)
            write_arrays(out / "calibration.npz", **stimulus(first))
        return

    name = f"{args.bits} bits"
    judge(exactly(net.state_dict(), args.bits, train), test, name, torch.float64)
    state = fine_tune(net, args.bits, train, tuning).exported()
    found = judge(exactly(state, args.bits, train), test, f"{name}, fine-tuned", torch.float64)
    if not args.validate:
        torch.save(state, out / f"model{args.bits}.pt")
        write_arrays(out / f"answers{args.bits}.npz", answers=found)


if __name__ == "__main__":
    main()

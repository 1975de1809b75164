"""Train the experts example: which of nine speakers, every frame read by one of six experts.

The gate of a chosen expert is one, which has no gradient; backwards it is the router's softmax
(straight through). A loss after Fedus et al., arXiv 2101.03961, keeps the experts equally busy.

Run from the repository root: python examples/experts/train.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from data import Series, vowels  # noqa: E402
from training import run_epochs, write_arrays  # noqa: E402

EXPERTS, CHANNELS, WIDTH, HIDDEN, SPEAKERS = 6, 12, 24, 24, 9
BALANCE = 0.02
"""Weight of the loss that keeps experts equally busy."""


class Mixture(nn.Module):
    """h + experts[e](h), e the expert of the largest score."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, EXPERTS)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, WIDTH))
            for _ in range(EXPERTS)
        )

    def forward(self, h: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The sum, the loss of uneven work over `real` frames, and who was chosen."""
        chance = self.router(h).softmax(-1)
        best = chance.argmax(-1)
        chosen = nn.functional.one_hot(best, EXPERTS).to(h.dtype)
        gate = chosen + chance * chosen - (chance * chosen).detach()
        given = torch.stack([expert(h) for expert in self.experts], -1)
        frames = real.sum()
        load = (chosen * real[..., None]).sum((0, 1)) / frames
        mean = (chance * real[..., None]).sum((0, 1)) / frames
        return h + (given * gate[..., None, :]).sum(-1), EXPERTS * (load * mean).sum(), best


class Net(nn.Module):
    """Frames to speakers; the answer is the mean over a series' frames."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Linear(CHANNELS, WIDTH)
        self.moe = Mixture()
        self.dec = nn.Linear(WIDTH, SPEAKERS)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        real = (torch.arange(values.shape[1]) < lengths[:, None]).to(values.dtype)
        h, uneven, best = self.moe(self.enc(values).relu(), real)
        score = (self.dec(h) * real[..., None]).sum(1) / lengths[:, None]
        return score, uneven, torch.where(real > 0, best, -1)

    def stated(self) -> dict[str, Tensor]:
        """The state_dict, with what it leaves open (mapping/importers/experts.py)."""
        config = {"config.k": 1, "config.gate": 0, "config.residual": 1, "config.pooling": 0}
        return dict(self.state_dict()) | {n: torch.tensor(v) for n, v in config.items()}


def fit(series: Series, epochs: int) -> Net:
    torch.manual_seed(1)
    net = Net()
    x, lengths, labels = (torch.tensor(part) for part in series)

    def batches() -> list[tuple]:
        parts = torch.randperm(len(x)).split(30)
        return [(x[i] + 0.3 * torch.randn(x[i].shape), lengths[i], labels[i]) for i in parts]

    def loss(values: Tensor, count: Tensor, target: Tensor) -> Tensor:
        score, uneven, _ = net(values, count)
        return nn.functional.cross_entropy(score, target, label_smoothing=0.05) + BALANCE * uneven

    run_epochs(net, epochs, 5e-3, batches, loss, label="float")
    return net.eval()


@torch.no_grad()
def judge(net: Net, series: Series) -> np.ndarray:
    """What the network answers [series, speakers]; prints how many are right, who did the work."""
    score, _, best = net(torch.tensor(series[0]), torch.tensor(series[1]))
    found, frames = score.numpy(), best[best >= 0]
    count = int((found.argmax(1) == series[2]).sum())
    share = torch.bincount(frames, minlength=EXPERTS) / len(frames)
    print(f"{count} of {len(found)}, {count / len(found):.4f}; share of frames by expert:",
          " ".join(f"{s:.3f}" for s in share.tolist()), flush=True)  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    args = parser.parse_args()
    out = Path("build/examples/experts") if args.quick else HERE
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    train, test = vowels()
    net = fit(train, 3 if args.quick else 150)
    judge(net, train)
    found = judge(net, test)
    torch.save(net.stated(), out / "model.pt")
    write_arrays(out / "answers.npz", answers=found)


if __name__ == "__main__":
    main()

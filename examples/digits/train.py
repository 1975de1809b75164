"""Train the digits example: a 64-128-10 spiking network, 90 % pruned, 4-bit weights, 8 steps.

Run from the repository root: python examples/digits/train.py [--quick]
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from reference import simulate, table  # noqa: E402
from training import (  # noqa: E402
    Lif,
    QuantLinear,
    cubic_keep,
    quant_layers,
    run_epochs,
    write_arrays,
    write_graph,
)

STEPS, DT = 8, 1e-3
KEEP = {"hidden": 0.058, "out": 0.37}
"""Share of weights kept: 10 % over both layers; the output layer is the fragile one."""
TEACHER, SOFT = 0.9, 2.0
"""Share of the loss that the dense network's answers have, and how much they are softened."""


class DigitsNet(nn.Module):
    """Linear(64, 128), LIF, Linear(128, 10), LIF; a spike subtracts the threshold, 1.

    Each LIF layer has one learned decay, 1 - dt / tau.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = QuantLinear(64, 128)
        self.out = QuantLinear(128, 10)
        self.pace = nn.Parameter(torch.full((2,), math.log(9.0)))
        for layer in quant_layers(self):
            nn.init.normal_(layer.weight, 0.0, 0.05)

    def decay(self) -> Tensor:
        """1 - dt / tau of both LIF layers; .9 before training."""
        return torch.sigmoid(self.pace)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Output spike counts and mean potentials for spikes [steps, batch, 64]."""
        first, second = self.decay()
        spikes, _ = Lif.apply(self.hidden(x), first)
        spikes, mean = Lif.apply(self.out(spikes), second)
        return spikes.sum(0), mean

    def score(self, x: Tensor) -> Tensor:
        """What the loss takes for logits: counts, helped by the potentials."""
        count, mean = self(x)
        return 10 / STEPS * (count + 0.2 * mean)


def encode(p: Tensor) -> Tensor:
    """Bernoulli spikes [steps, batch, 64] with probability p, one fresh draw."""
    return (torch.rand(STEPS, *p.shape) < p).float()


def fit(x: np.ndarray, y: np.ndarray, seed: int, epochs: tuple[int, int, int]) -> DigitsNet:
    """Train dense, then while pruning, then with 4-bit weights; the dense net teaches the others.

    The teacher sees another Bernoulli draw of the same image than the pupil.
    """
    torch.manual_seed(seed)
    net, p, target = DigitsNet(), torch.tensor(x), torch.tensor(y)
    span = int(0.6 * epochs[1])

    def batches() -> list[tuple]:
        parts = torch.randperm(len(p)).split(64)
        return [(p[i], target[i]) for i in parts if len(i) > 1]

    def loss(p: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net.score(encode(p)), labels)

    def shrink(epoch: int) -> None:
        if epoch <= span:  # afterwards the masks stay, whatever the pruned weights drift to
            net.hidden.prune(cubic_keep(epoch / span, KEEP["hidden"]))
            net.out.prune(cubic_keep(epoch / span, KEEP["out"]))

    run_epochs(net, epochs[0], 4e-3, batches, loss, label=f"seed {seed} dense")
    teacher = copy.deepcopy(net)

    def taught(p: Tensor, labels: Tensor) -> Tensor:
        score = net.score(encode(p))
        with torch.no_grad():
            aim = (teacher.score(encode(p)) / SOFT).log_softmax(1)
        far = nn.functional.kl_div(
            (score / SOFT).log_softmax(1), aim, reduction="batchmean", log_target=True
        )
        own = nn.functional.cross_entropy(score, labels)
        return (1 - TEACHER) * own + TEACHER * SOFT**2 * far

    run_epochs(net, epochs[1], 4e-3, batches, taught, before=shrink, label=f"seed {seed} pruning")
    for layer in quant_layers(net):
        layer.quantise()
    run_epochs(net, epochs[2], 2e-3, batches, taught, label=f"seed {seed} 4-bit")
    return net


@torch.no_grad()
def judge(net: DigitsNet, x: np.ndarray, y: np.ndarray, draws: int = 20) -> tuple[float, float]:
    """Mean accuracy and mean cross-entropy over several draws of the stimulus."""
    torch.manual_seed(0)
    p, target = torch.tensor(x), torch.tensor(y)
    right, lost = [], []
    for _ in range(draws):
        spikes = encode(p)
        right.append((net(spikes)[0].argmax(1) == target).float().mean().item())
        lost.append(nn.functional.cross_entropy(net.score(spikes), target).item())
    return float(np.mean(right)), float(np.mean(lost))


def export(net: DigitsNet, path: Path) -> None:
    """Write the network as NIR; r = tau / dt makes the gain of a step exactly the weight."""

    first, second = (DT / (1 - net.decay().detach().double())).tolist()

    def node(size: int, tau: float) -> nir.LIF:
        ones = np.ones(size)
        return nir.LIF(tau * ones, tau / DT * ones, 0 * ones, ones, v_reset=0 * ones)

    nodes = {
        "fc1": nir.Linear(net.hidden.exported()),
        "lif1": node(128, first),
        "fc2": nir.Linear(net.out.exported()),
        "lif2": node(10, second),
    }
    chain = ["input", *nodes, "output"]
    write_graph(path, nodes, list(pairwise(chain)), 64, 10)


def frozen(x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """One fixed Bernoulli stimulus, [samples, steps, 64], and its labels."""
    draw = np.random.default_rng(seed).random((len(x), STEPS, x.shape[1]))
    return {"events": (draw < x[:, None]).astype(np.uint8), "labels": y.astype(np.int64)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    parser.add_argument("--out", type=Path, help="folder to write to; default: here")
    parser.add_argument("--folds", type=int, help="only cross-validate the recipe on training data")
    args = parser.parse_args()
    args.out = args.out or (Path("build/examples/digits") if args.quick else HERE)
    torch.set_num_threads(1)
    epochs, seeds = ((2, 4, 2), 1) if args.quick else ((40, 240, 170), 3)

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    x, x_test, y, y_test = train_test_split(x, y, test_size=360, stratify=y, random_state=0)

    if args.folds:
        scores = []
        folds = StratifiedKFold(args.folds, shuffle=True, random_state=0)
        for part, held in folds.split(x, y):
            scores.append(judge(fit(x[part], y[part], 1, epochs), x[held], y[held])[0])
            print(f"fold {len(scores)}: accuracy {scores[-1]:.4f}", flush=True)
        print(f"{args.folds} folds of the training images: {np.mean(scores):.4f}")
        return

    nets, losses = {}, {}
    for seed in range(1, seeds + 1):
        nets[seed] = fit(x, y, seed, epochs)
        right, losses[seed] = judge(nets[seed], x, y)
        print(f"seed {seed}: training loss {losses[seed]:.4f}, accuracy {right:.4f}", flush=True)
    best = min(losses, key=losses.__getitem__)
    print(f"seed {best} has the smallest training loss and is kept", flush=True)
    net = nets[best]

    args.out.mkdir(parents=True, exist_ok=True)
    if args.out != HERE:
        (args.out / "nervure.toml").write_text((HERE / "nervure.toml").read_text())
    export(net, args.out / "digits.nir")
    test = frozen(x_test, y_test, seed=0)
    write_arrays(args.out / "test.npz", **test)
    write_arrays(args.out / "calibration.npz", **frozen(x[:64], y[:64], seed=1))
    run = simulate(args.out / "digits.nir", test["events"])
    print(table("digits", args.out / "digits.nir", run, test["labels"]))
    others = [
        simulate(args.out / "digits.nir", frozen(x_test, y_test, seed)["events"]).accuracy(y_test)
        for seed in range(100, 120)
    ]
    print(f"20 other draws of the stimulus: {np.mean(others):.4f} +- {np.std(others):.4f}")


if __name__ == "__main__":
    main()

"""Train the digits example: a 64-128-10 spiking network, 90 % pruned, 4-bit weights, 8 steps.

Run from the repository root: python examples/digits/train.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from reference import simulate, table  # noqa: E402
from training import (  # noqa: E402
    QuantLinear,
    cubic_keep,
    quant_layers,
    run_epochs,
    spike,
    write_arrays,
    write_graph,
)

STEPS, DT, TAU = 8, 1e-3, 1e-2
DECAY = 1 - DT / TAU
KEEP = {"hidden": 0.058, "out": 0.37}
"""Share of weights kept: 10 % over both layers; the output layer is the fragile one."""


class DigitsNet(nn.Module):
    """Linear(64, 128), LIF, Linear(128, 10), LIF; a spike subtracts the threshold, 1."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = QuantLinear(64, 128)
        self.out = QuantLinear(128, 10)
        for layer in quant_layers(self):
            nn.init.normal_(layer.weight, 0.0, 0.05)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Output spike counts and mean potentials for spikes [steps, batch, 64]."""
        spikes, _ = lif(self.hidden(x))
        spikes, mean = lif(self.out(spikes))
        return spikes.sum(0), mean


def lif(currents: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes of a LIF layer and its mean potential before the reset."""
    v = torch.zeros_like(currents[0])
    spikes, total = [], torch.zeros_like(v)
    for current in currents:
        v = DECAY * v + current
        z = spike(v - 1)
        total = total + v
        v = v - z.detach()
        spikes.append(z)
    return torch.stack(spikes), total / len(currents)


def encode(p: Tensor) -> Tensor:
    """Bernoulli spikes [steps, batch, 64] with probability p, one fresh draw."""
    return (torch.rand(STEPS, *p.shape) < p).float()


def fit(x: np.ndarray, y: np.ndarray, seed: int, epochs: tuple[int, int, int]) -> DigitsNet:
    """Train dense, then while pruning, then with 4-bit weights."""
    torch.manual_seed(seed)
    net, p, target = DigitsNet(), torch.tensor(x), torch.tensor(y)
    span = int(0.6 * epochs[1])

    def batches() -> list[tuple]:
        parts = torch.randperm(len(p)).split(64)
        return [(encode(p[i]), target[i]) for i in parts if len(i) > 1]

    def loss(spikes: Tensor, labels: Tensor) -> Tensor:
        count, mean = net(spikes)
        return nn.functional.cross_entropy(10 / STEPS * (count + 0.2 * mean), labels)

    def shrink(epoch: int) -> None:
        if epoch <= span:  # afterwards the masks stay, whatever the pruned weights drift to
            net.hidden.prune(cubic_keep(epoch / span, KEEP["hidden"]))
            net.out.prune(cubic_keep(epoch / span, KEEP["out"]))

    run_epochs(net, epochs[0], 4e-3, batches, loss, label=f"seed {seed} dense")
    run_epochs(net, epochs[1], 4e-3, batches, loss, before=shrink, label=f"seed {seed} pruning")
    for layer in quant_layers(net):
        layer.quantise()
    run_epochs(net, epochs[2], 2e-3, batches, loss, label=f"seed {seed} 4-bit")
    return net


@torch.no_grad()
def accuracy(net: DigitsNet, x: np.ndarray, y: np.ndarray, draws: int = 20) -> float:
    """Mean accuracy over several draws of the stimulus."""
    torch.manual_seed(0)
    p = torch.tensor(x)
    return float(np.mean([(net(encode(p))[0].argmax(1).numpy() == y).mean() for _ in range(draws)]))


def export(net: DigitsNet, path: Path) -> None:
    """Write the network as NIR; r = tau / dt makes the gain of a step exactly the weight."""

    def node(size: int) -> nir.LIF:
        ones = np.ones(size)
        return nir.LIF(TAU * ones, TAU / DT * ones, 0 * ones, ones, v_reset=0 * ones)

    nodes = {
        "fc1": nir.Linear(net.hidden.exported()),
        "lif1": node(128),
        "fc2": nir.Linear(net.out.exported()),
        "lif2": node(10),
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
    args = parser.parse_args()
    args.out = args.out or (Path("build/examples/digits") if args.quick else HERE)
    torch.set_num_threads(1)
    epochs, seeds = ((2, 4, 2), 1) if args.quick else ((30, 160, 120), 5)

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    x, x_test, y, y_test = train_test_split(x, y, test_size=360, stratify=y, random_state=0)
    part, held, y_part, y_held = train_test_split(x, y, test_size=287, stratify=y, random_state=0)

    scores = {}
    for seed in range(1, seeds + 1):
        scores[seed] = accuracy(fit(part, y_part, seed, epochs), held, y_held)
        print(f"seed {seed}: validation accuracy {scores[seed]:.4f}", flush=True)
    best = max(scores, key=scores.__getitem__)
    print(f"seed {best} is best; training it again on all {len(x)} training images", flush=True)
    net = fit(x, y, best, epochs)

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

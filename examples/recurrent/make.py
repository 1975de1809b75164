"""Make the recurrent example: a 12-38-7 CubaLIF network with a recurrent layer, on spike trains.

Its graph has the shape of the braille network of the NIR paper (Pedersen et al. 2024). The task is
ours: seven speakers of ../vowels/data.npz, their 12 values a frame coded as 12 spike channels.

Run from the repository root: python examples/recurrent/make.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from reference import simulate, table  # noqa: E402
from training import (  # noqa: E402
    QuantLinear,
    quant_layers,
    run_epochs,
    spike,
    write_arrays,
    write_graph,
)

DT, FRAME_STEPS, HIDDEN, CLASSES = 1e-3, 3, 38, 7
ALPHA, ALPHA_OUT, BETA_OUT = 0.7, 0.7, 0.9
"""Decays a step, 1 - dt / tau, of the hidden currents, the output currents and potentials."""
BETA = np.linspace(0.8, 0.98, HIDDEN)
"""Decay of each hidden potential."""
Series = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Values [series, 29, 12], lengths in frames, labels."""


class RecurrentNet(nn.Module):
    """Affine 12>38, CubaLIF(38) with Linear 38>38 one step late, Linear 38>7, CubaLIF(7)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = QuantLinear(12, HIDDEN, bias=True)
        self.rec = QuantLinear(HIDDEN, HIDDEN)
        self.fc2 = QuantLinear(HIDDEN, CLASSES)
        nn.init.normal_(self.rec.weight, 0, 0.05)
        nn.init.normal_(self.fc1.weight, 0, 0.15)
        nn.init.normal_(self.fc2.weight, 0, 0.15)
        self.register_buffer("beta", torch.tensor(BETA, dtype=torch.float32))

    def forward(self, events: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Output spike counts and mean output potentials within each series' length."""
        drive = self.fc1(events)
        current = v = z = torch.zeros(len(events), HIDDEN)
        current_out = v_out = count = mean = torch.zeros(len(events), CLASSES)
        for t in range(events.shape[1]):
            live = (t < steps)[:, None].float()
            current = ALPHA * current + drive[:, t] + self.rec(z)
            v = self.beta * v + current
            z = spike(v - 1)
            v = v * (1 - z.detach())
            current_out = ALPHA_OUT * current_out + self.fc2(z)
            v_out = BETA_OUT * v_out + current_out
            z_out = spike(v_out - 1)
            count, mean = count + live * z_out, mean + live * v_out.clamp(-3, 3)
            v_out = v_out * (1 - z_out.detach())
        return count, mean / steps[:, None]


def encode(values: Tensor, phase: Tensor) -> Tensor:
    """Spikes [series, 3 * frames, 12]: an accumulator a channel fires when it passes 1.

    A value of -2 deviations or less never fires, one of +2 or more fires every step.
    """
    rate = (values / 4 + 0.5).clamp(0, 1).repeat_interleave(FRAME_STEPS, 1)
    total = torch.floor(rate.cumsum(1) + phase)
    return torch.diff(total, dim=1, prepend=torch.zeros_like(total[:, :1])).clamp(0, 1)


def load() -> tuple[Series, Series]:
    """Normalised train and test series of speakers 0 to 6; padding is far below every value."""
    data = np.load(HERE.parent / "vowels" / "data.npz")
    parts, mean, deviation = [], np.zeros(12), np.ones(12)
    for name in ("train", "test"):
        chosen = data[f"{name}_labels"] < CLASSES
        values, lengths, labels = (
            data[f"{name}_{key}"][chosen] for key in ("values", "lengths", "labels")
        )
        real = np.arange(values.shape[1]) < lengths[:, None]
        if name == "train":
            mean, deviation = values[real].mean(0, float), values[real].std(0, float)
        z = np.where(real[..., None], (values - mean) / deviation, -9)
        parts.append((z.astype(np.float32), lengths.astype(int), labels.astype(np.int64)))
    return parts[0], parts[1]


def fit(series: Series, seed: int, epochs: tuple[int, int]) -> RecurrentNet:
    """Train with float weights, then with 4-bit weights."""
    torch.manual_seed(seed)
    net = RecurrentNet()
    x, lengths, labels = (torch.tensor(part) for part in series)

    def batches() -> list[tuple]:
        """Each series with noise, one offset a channel, and a random phase of the encoder."""
        result = []
        for i in torch.randperm(len(x)).split(32):
            frames = int(lengths[i].max())
            noise = 0.2 * torch.randn(len(i), frames, 12) + 0.2 * torch.randn(len(i), 1, 12)
            events = encode(x[i, :frames] + noise, torch.rand(len(i), 1, 12))
            result.append((events, FRAME_STEPS * lengths[i], labels[i]))
        return result

    def loss(events: Tensor, steps: Tensor, target: Tensor) -> Tensor:
        count, mean = net(events, steps)
        return nn.functional.cross_entropy(15 * count / steps[:, None] + 0.5 * mean, target)

    run_epochs(net, epochs[0], 5e-3, batches, loss, label=f"seed {seed} float")
    for layer in quant_layers(net):
        layer.quantise()
    run_epochs(net, epochs[1], 2.5e-3, batches, loss, label=f"seed {seed} 4-bit")
    return net


def export(net: RecurrentNet, path: Path) -> None:
    """Write the network as NIR; w_in and r make the gain of both filters exactly 1 a step."""

    def node(alpha: np.ndarray, beta: np.ndarray) -> nir.CubaLIF:
        tau_syn, tau_mem, ones = DT / (1 - alpha), DT / (1 - beta), np.ones(len(beta))
        return nir.CubaLIF(
            tau_syn, tau_mem, tau_mem / DT, 0 * ones, ones, v_reset=0 * ones, w_in=tau_syn / DT
        )

    seven = np.ones(CLASSES)
    nodes = {
        "fc1": nir.Affine(net.fc1.exported(), net.fc1.bias.detach().numpy()),
        "lif1": node(np.full(HIDDEN, ALPHA), BETA),
        "rec": nir.Linear(net.rec.exported()),
        "fc2": nir.Linear(net.fc2.exported()),
        "lif2": node(ALPHA_OUT * seven, BETA_OUT * seven),
    }
    chain = ["input", "fc1", "lif1", "rec", "lif1", "fc2", "lif2", "output"]
    write_graph(path, nodes, list(pairwise(chain)), 12, CLASSES)


def stimulus(series: Series) -> dict[str, np.ndarray]:
    """Spikes with the encoder's accumulators starting at one half."""
    events = encode(torch.tensor(series[0]), torch.full((1, 1, 12), 0.5)).numpy().astype(np.uint8)
    return {"events": events, "lengths": FRAME_STEPS * series[1], "labels": series[2]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    parser.add_argument("--out", type=Path, help="folder to write to; default: here")
    args = parser.parse_args()
    args.out = args.out or (Path("build/examples/recurrent") if args.quick else HERE)
    torch.set_num_threads(1)
    epochs, seeds = ((2, 2), 1) if args.quick else ((60, 40), 2)

    train, test = load()
    part, held = train_test_split(
        np.arange(len(train[2])), test_size=70, stratify=train[2], random_state=0
    )
    scores = {}
    for seed in range(1, seeds + 1):
        net = fit(tuple(a[part] for a in train), seed, epochs)
        check = stimulus(tuple(a[held] for a in train))
        with torch.no_grad():
            count, _ = net(torch.tensor(check["events"]).float(), torch.tensor(check["lengths"]))
        scores[seed] = float((count.argmax(1).numpy() == check["labels"]).mean())
        print(f"seed {seed}: validation accuracy {scores[seed]:.4f}", flush=True)
    best = max(scores, key=scores.__getitem__)
    print(f"seed {best} is best; training it again on all {len(train[0])} series", flush=True)
    net = fit(train, best, epochs)

    args.out.mkdir(parents=True, exist_ok=True)
    if args.out != HERE:
        (args.out / "nervure.toml").write_text((HERE / "nervure.toml").read_text())
    export(net, args.out / "recurrent.nir")
    pick = np.sort(np.random.default_rng(0).permutation(len(train[0]))[:64])
    frozen = stimulus(test)
    write_arrays(args.out / "test.npz", **frozen)
    write_arrays(args.out / "calibration.npz", **stimulus(tuple(a[pick] for a in train)))
    run = simulate(args.out / "recurrent.nir", frozen["events"], frozen["lengths"])
    print(table("recurrent", args.out / "recurrent.nir", run, frozen["labels"]))


if __name__ == "__main__":
    main()

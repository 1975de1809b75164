"""Train the vowels example: a state-space layer and a spiking layer tell nine speakers apart.

Run from the repository root: python examples/vowels/train.py [--quick]
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

from data import Series, stimulus, vowels  # noqa: E402
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

DT, BETA, BETA_OUT = 1e-3, 0.8, 0.95
KEEP = {"mix": 0.08, "dec": 0.4}


class VowelsNet(nn.Module):
    """Affine 12>96, LI(96), Affine 96>96, LIF(96), Linear 96>9, LI(9)."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = QuantLinear(12, 96, bias=True)
        self.mix = QuantLinear(96, 96, bias=True)
        self.dec = QuantLinear(96, 9)
        self.pace = nn.Parameter(torch.logit(torch.linspace(0.01, 0.99, 96)))

    def decay(self) -> Tensor:
        """1 - dt / tau of the state-space layer, within .5 and .99."""
        return 0.5 + 0.49 * torch.sigmoid(self.pace)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The read-out [series, 9, frames] and the hidden spikes [series, frames]."""
        driven, decay = self.enc(x), self.decay()
        state = v = torch.zeros_like(driven[:, 0])
        out = torch.zeros(len(x), 9)
        outs, spikes = [], []
        for t in range(x.shape[1]):
            state = state + (1 - decay) * (driven[:, t] - state)
            v = BETA * v + self.mix(state)
            z = spike(v - 1)
            v = v - z.detach()
            out = BETA_OUT * out + self.dec(nn.functional.dropout(z, 0.2, self.training))
            outs.append(out)
            spikes.append(z.sum(1))
        return torch.stack(outs, 2), torch.stack(spikes, 1)


def fit(series: Series, seed: int, epochs: tuple[int, int, int]) -> VowelsNet:
    """Train dense, then while pruning, then with 4-bit weights."""
    torch.manual_seed(seed)
    net, span = VowelsNet(), int(0.6 * epochs[1])
    x, lengths, labels = (torch.tensor(part) for part in series)

    def batches() -> list[tuple]:
        """Each series with noise on every value and one offset a channel (another microphone)."""
        result = []
        for i in torch.randperm(len(x)).split(32):
            frames = int(lengths[i].max())
            noise = 0.2 * torch.randn(len(i), frames, 12) + 0.4 * torch.randn(len(i), 1, 12)
            result.append((x[i, :frames] + noise, lengths[i], labels[i]))
        return result

    def loss(values: Tensor, count: Tensor, target: Tensor) -> Tensor:
        """Error at the last frame and over the second half, plus a price on spikes."""
        out, spikes = net(values)
        frame, frames = torch.arange(out.shape[2]), count[:, None]
        late = ((frame < frames) & (frame >= frames // 2)).float()
        errors = nn.functional.cross_entropy(
            out, target[:, None].expand(-1, out.shape[2]), reduction="none"
        )
        final = errors[torch.arange(len(out)), count - 1].mean()
        price = 1e-4 * (spikes * (frame < frames)).sum(1).mean()
        return 0.7 * final + 0.3 * (errors * late).sum() / late.sum() + price

    def shrink(epoch: int) -> None:
        if epoch <= span:  # afterwards the masks stay, whatever the pruned weights drift to
            net.mix.prune(cubic_keep(epoch / span, KEEP["mix"]))
            net.dec.prune(cubic_keep(epoch / span, KEEP["dec"]))

    run_epochs(net, epochs[0], 5e-3, batches, loss, label=f"seed {seed} dense")
    run_epochs(net, epochs[1], 5e-3, batches, loss, before=shrink, label=f"seed {seed} pruning")
    for layer in quant_layers(net):
        layer.quantise()
    run_epochs(net, epochs[2], 2.5e-3, batches, loss, label=f"seed {seed} 4-bit")
    return net.eval()


def export(net: VowelsNet, path: Path) -> None:
    """Write the network as NIR; r = tau / dt makes the gain of a step exactly the weight."""

    def bias(layer: QuantLinear) -> np.ndarray:
        return layer.bias.detach().numpy()

    ones, nine = np.ones(96), np.ones(9)
    tau, tau_lif, tau_out = (
        DT / (1 - net.decay().detach().numpy().astype(float)),
        DT / (1 - BETA),
        DT / (1 - BETA_OUT),
    )
    nodes = {
        "enc": nir.Affine(net.enc.exported(), bias(net.enc)),
        "ssm": nir.LI(tau, ones, 0 * ones),
        "mix": nir.Affine(net.mix.exported(), bias(net.mix)),
        "lif": nir.LIF(tau_lif * ones, tau_lif / DT * ones, 0 * ones, ones, v_reset=0 * ones),
        "dec": nir.Linear(net.dec.exported()),
        "readout": nir.LI(tau_out * nine, tau_out / DT * nine, 0 * nine),
    }
    write_graph(path, nodes, list(pairwise(["input", *nodes, "output"])), 12, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    parser.add_argument("--out", type=Path, help="folder to write to; default: here")
    args = parser.parse_args()
    args.out = args.out or (Path("build/examples/vowels") if args.quick else HERE)
    torch.set_num_threads(1)
    epochs, seeds = ((2, 4, 2), 1) if args.quick else ((100, 160, 120), 4)

    train, test = vowels()
    part, held = train_test_split(
        np.arange(len(train[2])), test_size=90, stratify=train[2], random_state=0
    )
    scores = {}
    for seed in range(1, seeds + 1):
        net = fit(tuple(a[part] for a in train), seed, epochs)
        with torch.no_grad():
            out = net(torch.tensor(train[0][held]))[0].numpy()
        last = out[np.arange(len(held)), :, train[1][held] - 1]
        scores[seed] = float((last.argmax(1) == train[2][held]).mean())
        print(f"seed {seed}: validation accuracy {scores[seed]:.4f}", flush=True)
    best = max(scores, key=scores.__getitem__)
    print(f"seed {best} is best; training it again on all {len(train[0])} series", flush=True)
    net = fit(train, best, epochs)

    args.out.mkdir(parents=True, exist_ok=True)
    if args.out != HERE:
        (args.out / "nervure.toml").write_text((HERE / "nervure.toml").read_text())
    export(net, args.out / "vowels.nir")
    pick = np.sort(np.random.default_rng(0).permutation(len(train[0]))[:64])
    write_arrays(args.out / "test.npz", **stimulus(test))
    write_arrays(args.out / "calibration.npz", **stimulus(tuple(a[pick] for a in train)))
    run = simulate(args.out / "vowels.nir", test[0], test[1])
    print(table("vowels", args.out / "vowels.nir", run, test[2]))


if __name__ == "__main__":
    main()

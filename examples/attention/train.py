"""Train the attention example: a spiking transformer block that reads a digit row by row.

A digit's eight rows are the tokens. The answer is read from the last row alone, which sees the
others only through the attention. 4-bit weights, 12 steps.

Run from the repository root: python examples/attention/train.py [--quick]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from training import Lif, QuantLinear, quant_layers, run_epochs, write_arrays  # noqa: E402

STEPS, TOKENS, PIXELS, DIM = 12, 8, 8, 24
SCORE_GAIN, VALUE_GAIN = 3, 2
"""log2 of what the attention's probabilities are multiplied with."""
ATTENTIONS = ("stochastic", "expected", "binary", "none")


class Spiking(QuantLinear):
    """Linear and LIF for spikes [steps, batch, tokens, inputs]; a spike subtracts the threshold, 1.

    The decay is learned. With `residual`, spikes also pass one to one, with a weight near 1 that
    stays on the grid of the other weights, a power of two times their step.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        nn.init.normal_(self.weight, 0.0, 1.5 / math.sqrt(inputs))
        self.pace = nn.Parameter(torch.tensor(math.log(4.0)))

    def beta(self) -> Tensor:
        return torch.sigmoid(self.pace)

    def residual(self) -> Tensor:
        if not self.quantised:
            return torch.tensor(1.0)
        return self.step * 2 ** round(-math.log2(self.step.item()))

    def forward(self, x: Tensor, past: Tensor | None = None, bias: Tensor | float = 0.0) -> Tensor:
        current = super().forward(x) + bias
        if past is not None:
            current = current + self.residual() * past
        return Lif.apply(current, self.beta())[0]


def draw(p: Tensor, how: str) -> Tensor:
    """Bits of probability p; the gradient passes straight through.

    how: "stochastic", "binary" (1 where p > 1/2, no draw) or "expected" (p itself).
    """
    if how == "expected":
        return p
    bits = torch.rand_like(p) < p if how == "stochastic" else p > 0.5
    return p + (bits.to(p.dtype) - p).detach()


class Transformer(nn.Module):
    """One block of causal attention and feed-forward, read at the last token by an integrator."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = Spiking(PIXELS, DIM)
        self.position = nn.Parameter(torch.zeros(TOKENS, DIM))
        self.query, self.key, self.value = (Spiking(DIM, DIM) for _ in range(3))
        self.out = Spiking(DIM, DIM)
        self.up, self.down = Spiking(DIM, 2 * DIM), Spiking(2 * DIM, DIM)
        self.readout = QuantLinear(DIM, 10)
        nn.init.normal_(self.readout.weight, 0.0, 0.05)
        self.pace = nn.Parameter(torch.tensor(3.0))
        self.register_buffer("visible", torch.ones(TOKENS, TOKENS).tril())

    def attend(self, q: Tensor, k: Tensor, v: Tensor, how: str) -> Tensor:
        """The equations of hdl/params/sc/attention.py, with the draws of `draw`."""
        score = (q @ k.transpose(-1, -2)) * (2**SCORE_GAIN / DIM)
        chosen = draw(score.clamp(max=1), how) * self.visible
        value = (chosen @ v) * (2**VALUE_GAIN / self.visible.sum(1)[:, None])
        return draw(value.clamp(max=1), how)

    def forward(self, x: Tensor, how: str) -> Tensor:
        """Membranes of the ten integrators after the last step; x [steps, batch, tokens, pixels].

        Behind the attention only the last token is computed.
        """
        h = self.embed(x, bias=self.position)
        if how == "none":
            answer = torch.zeros_like(h)
        else:
            answer = self.attend(self.query(h), self.key(h), self.value(h), how)
        h = self.out(answer[:, :, -1], past=h[:, :, -1])
        h = self.down(self.up(h), past=h)
        ages = torch.arange(len(x) - 1, -1, -1.0)
        kept = torch.sigmoid(self.pace) ** ages
        return (self.readout(h) * kept[:, None, None]).sum(0)


def encode(p: Tensor) -> Tensor:
    """Bernoulli spikes [steps, batch, tokens, pixels] with probability p [batch, ...]."""
    return (torch.rand(STEPS, *p.shape) < p).float()


def fit(x: np.ndarray, y: np.ndarray, how: str, seed: int, epochs: tuple[int, int]) -> Transformer:
    """Train with float weights, then with 4-bit weights; a new draw of spikes in each epoch."""
    torch.manual_seed(seed)
    net = Transformer()
    p, target = torch.tensor(x).view(-1, TOKENS, PIXELS), torch.tensor(y)

    def batches() -> list[tuple]:
        return [(p[i], target[i]) for i in torch.randperm(len(p)).split(64)]

    def loss(p: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net(encode(p), how), labels)

    run_epochs(net, epochs[0], 4e-3, batches, loss, label="float")
    for layer in quant_layers(net):
        layer.quantise()
    run_epochs(net, epochs[1], 2e-3, batches, loss, label="4-bit")
    return net


def frozen(x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """One fixed Bernoulli stimulus, [samples, steps, tokens * pixels], and its labels."""
    spikes = np.random.default_rng(seed).random((len(x), STEPS, x.shape[1])) < x[:, None]
    return {"events": spikes.astype(np.uint8), "labels": y.astype(np.int64)}


@torch.no_grad()
def accuracy(net: Transformer, data: dict[str, np.ndarray], how: str, seed: int) -> float:
    """On a frozen stimulus, with one draw of the attention."""
    torch.manual_seed(seed)
    spikes = torch.tensor(data["events"], dtype=torch.float32).transpose(0, 1)
    answer = net(spikes.reshape(STEPS, -1, TOKENS, PIXELS), how).argmax(1)
    return float((answer.numpy() == data["labels"]).mean())


def spread(net: Transformer, x: np.ndarray, y: np.ndarray, how: str) -> str:
    """Mean and deviation of the accuracy over 20 draws of stimulus and attention."""
    found = [accuracy(net, frozen(x, y, seed), how, seed) for seed in range(100, 120)]
    return f"{np.mean(found):.4f} +- {np.std(found):.4f}"


def export(net: Transformer) -> OrderedDict[str, Tensor]:
    """The state_dict with the names of mapping/importers/transformer.py."""
    config = {
        "tokens": TOKENS, "steps": STEPS, "causal": 1, "score_gain": SCORE_GAIN,
        "value_gain": VALUE_GAIN, "seed": 0, "reset": 1, "readout": 2,
    }  # fmt: skip
    made = OrderedDict((f"config.{name}", torch.tensor(value)) for name, value in config.items())
    made["config.threshold"] = torch.tensor(1.0)
    made["embed.position"] = net.position.detach()
    for name in ("embed", "query", "key", "value", "out", "up", "down"):
        layer = getattr(net, name)
        at = name if name == "embed" else f"blocks.0.{name}"
        made[f"{at}.weight"] = torch.from_numpy(layer.exported())
        made[f"{at}.beta"] = layer.beta().detach()
    made["blocks.0.out.residual"] = net.out.residual().detach()
    made["blocks.0.down.residual"] = net.down.residual().detach()
    made["readout.weight"] = torch.from_numpy(net.readout.exported())
    made["readout.beta"] = torch.sigmoid(net.pace).detach()
    return OrderedDict((name, tensor.clone()) for name, tensor in made.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    parser.add_argument("--out", type=Path, help="folder to write to; default: here")
    parser.add_argument(
        "--validate", action="store_true", help="only judge on held-out training data"
    )
    parser.add_argument("--attention", choices=ATTENTIONS, default="stochastic")
    args = parser.parse_args()
    args.out = args.out or (Path("build/examples/attention") if args.quick else HERE)
    torch.set_num_threads(1)
    epochs = (4, 2) if args.quick else (150, 60)

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    x, x_test, y, y_test = train_test_split(x, y, test_size=360, stratify=y, random_state=0)
    if args.validate:
        x, x_held, y, y_held = train_test_split(x, y, test_size=287, stratify=y, random_state=1)
        net = fit(x, y, args.attention, 1, epochs)
        print(f"trained {args.attention}: {spread(net, x_held, y_held, args.attention)} held out")
        return
    if args.attention != "stochastic":
        parser.error("--attention only judges: use it with --validate")

    net = fit(x, y, "stochastic", 1, epochs)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.out != HERE:
        (args.out / "nervure.toml").write_text((HERE / "nervure.toml").read_text())
    torch.save(export(net), args.out / "model.pt")
    test = frozen(x_test, y_test, seed=0)
    write_arrays(args.out / "test.npz", **test)
    write_arrays(args.out / "calibration.npz", **frozen(x[:64], y[:64], seed=1))
    print(
        "| attention of the same weights | frozen stimulus | 20 draws of stimulus and attention |"
    )
    print("|---|---|---|")
    for how in ATTENTIONS:
        one, many = accuracy(net, test, how, 0), spread(net, x_test, y_test, how)
        print(f"| {how} | {one:.4f} | {many} |")


if __name__ == "__main__":
    main()

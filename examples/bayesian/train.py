"""Train the Bayesian digits example: a 64-128-10 spiking network of binary weights drawn from
a Bernoulli posterior, anew in every read, 16 steps.

Run from the repository root: python examples/bayesian/train.py [--quick] [--folds N]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import reference  # noqa: E402
from sampled import DT, P_MIN, ensemble  # noqa: E402
from strange import STRANGE  # noqa: E402
from training import Lif, run_epochs, write_arrays, write_graph  # noqa: E402

from codesign.uncertainty import fit_temperature, summary  # noqa: E402

STEPS, HIDDEN = 16, 128
LIMIT = 1 - 2 * P_MIN
"""Largest |mean| of b, which a device of probability P_MIN .. 1 - P_MIN has."""
LEVELS = 127
"""Weights are written as scale * integer, the integer within [-LEVELS, LEVELS]."""
SPREAD = 0.08
"""Error of a probability after program-and-verify that training expects (standard deviation)."""
PRIOR = 0.03
"""Weight of the divergence from the prior, P(b = +1) = 1/2; 1 would be the full bound."""
MEMBERS = (1, 4, 16)
DRAWS = ("gaussian", "relaxed", "none")


class Sampled(nn.Module):
    """Weights a * b, b = -1 or +1 with mean mu = tanh(natural), drawn anew in every read.

    `natural` is the posterior's natural parameter: P(b = +1) = sigmoid(2 natural) (BiSNN,
    Jang et al. 2021, arXiv 2012.08300). Training sees each probability with an error of SPREAD,
    another one for every batch. `draws`:

    "gaussian" : the input sum of each sample and step from the normal distribution that has the
        mean and variance of the sum of its b (local reparametrisation, Kingma et al. 2015).
    "relaxed" : b of each step, shared by a batch: the sign of natural + delta, delta half a
        logistic variable; the gradient is that of tanh((natural + delta) / tau), tau = 1.
    "none" : mu itself, for comparison.
    """

    def __init__(self, inputs: int, outputs: int, scale: float, draws: str):
        super().__init__()
        self.natural = nn.Parameter(0.1 * torch.randn(outputs, inputs))
        self.scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.draws = draws

    def mean(self) -> Tensor:
        return self.natural.tanh().clamp(-LIMIT, LIMIT)

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence from the prior, in nats."""
        p = (1 + self.mean()) / 2
        return (p * (2 * p).log() + (1 - p) * (2 - 2 * p).log()).sum()

    def forward(self, x: Tensor) -> Tensor:
        """Input sums [steps, batch, outputs] of spikes [steps, batch, inputs]."""
        mu, a = self.mean(), self.scale.exp()
        if self.draws == "none":
            return a * (x @ mu.T)
        mu = (mu + 2 * SPREAD * torch.randn_like(mu)).clamp(-LIMIT, LIMIT)
        if self.draws == "gaussian":
            variance = x**2 @ (1 - mu**2).T  # whose gradient is 0 where there is no spike
            return a * (x @ mu.T + (variance + 1e-6).sqrt() * torch.randn_like(variance))
        u = torch.rand(len(x), *mu.shape).clamp(1e-6, 1 - 1e-6)
        drawn = torch.atanh(mu) + torch.logit(u) / 2
        soft = drawn.tanh()
        b = soft + (drawn.sign() - soft).detach()
        return a * torch.bmm(x, b.transpose(1, 2))

    def exported(self) -> np.ndarray:
        """The means a * mu, float32 on a grid; a mean at its limit is written as +-a itself.

        So the largest |weight| is a, and whoever clips to P_MIN gets the mean back.
        """
        mu = self.mean().detach().double().numpy()
        mu = np.where(np.abs(mu) >= LIMIT, np.sign(mu), mu)
        mu.flat[np.abs(mu).argmax()] = np.sign(mu.flat[np.abs(mu).argmax()])
        step = np.float32(math.exp(self.scale.item()) / LEVELS)
        return np.asarray(np.rint(LEVELS * mu) * step, dtype=np.float32)


class BayesianNet(nn.Module):
    """Sampled 64 to HIDDEN, LIF, Sampled to 10, LIF; a spike subtracts the threshold, 1."""

    def __init__(self, draws: str) -> None:
        super().__init__()
        self.hidden = Sampled(64, HIDDEN, 0.15, draws)
        self.out = Sampled(HIDDEN, 10, 0.1, draws)
        self.pace = nn.Parameter(torch.full((2,), math.log(9.0)))

    def decay(self) -> Tensor:
        """1 - dt / tau of both LIF layers; .9 before training."""
        return torch.sigmoid(self.pace)

    def score(self, x: Tensor) -> Tensor:
        """What the loss takes for logits: output counts, helped by the potentials."""
        first, second = self.decay()
        spikes, _ = Lif.apply(self.hidden(x), first)
        spikes, mean = Lif.apply(self.out(spikes), second)
        return 10 / STEPS * (spikes.sum(0) + 0.2 * mean)


def fit(x: np.ndarray, y: np.ndarray, seed: int, epochs: int, draws: str, prior: float):
    """Minimise cross-entropy + prior * divergence / images."""
    torch.manual_seed(seed)
    net, p, target = BayesianNet(draws), torch.tensor(x), torch.tensor(y)

    def batches() -> list[tuple]:
        return [(p[i], target[i]) for i in torch.randperm(len(p)).split(64)]

    def loss(p: Tensor, labels: Tensor) -> Tensor:
        spikes = (torch.rand(STEPS, *p.shape) < p).float()
        far = net.hidden.divergence() + net.out.divergence()
        return nn.functional.cross_entropy(net.score(spikes), labels) + prior * far / len(x)

    run_epochs(net, epochs, 1e-2, batches, loss, label=f"draws {draws}")
    return net


def export(net: BayesianNet, path: Path) -> None:
    """Write the network as NIR; r = tau / dt makes the gain of a step exactly the weight."""
    first, second = (DT / (1 - net.decay().detach().double())).tolist()

    def node(size: int, tau: float) -> nir.LIF:
        ones = np.ones(size)
        return nir.LIF(tau * ones, tau / DT * ones, 0 * ones, ones, v_reset=0 * ones)

    nodes = {
        "fc1": nir.Linear(net.hidden.exported()),
        "lif1": node(HIDDEN, first),
        "fc2": nir.Linear(net.out.exported()),
        "lif2": node(10, second),
    }
    write_graph(path, nodes, list(pairwise(["input", *nodes, "output"])), 64, 10)


def frozen(x: np.ndarray, seed: int, labels: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """One fixed Bernoulli stimulus, [samples, steps, 64], and its labels."""
    draw = np.random.default_rng(seed).random((len(x), STEPS, x.shape[1]))
    events = {"events": (draw < x[:, None]).astype(np.uint8)}
    return events if labels is None else events | {"labels": labels.astype(np.int64)}


def make_sets(x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Stimuli of labelled images ("test") and of what STRANGE makes of them."""
    sets = {"test": frozen(x, seed, y)}
    for number, (name, make) in enumerate(STRANGE.items(), seed + 2):
        sets[name] = frozen(make(x, np.random.default_rng(number)), number)
    return sets


def scores_of(model: Path, sets: dict, sampling: str, spread: float = 0.0) -> dict:
    """Spike counts [members, samples, 10] of each set; one member for sampling "none"."""

    def run(events: np.ndarray) -> np.ndarray:
        if sampling == "none":
            return reference.simulate(model, events).outputs.sum(1)[None]
        return ensemble(model, events, MEMBERS[-1], sampling=sampling, spread=spread)[0]

    return {name: run(arrays["events"]) for name, arrays in sets.items()}


def rows(name: str, scores: dict, labels: np.ndarray, known: np.ndarray | float) -> str:
    """A line of the table for each size of ensemble.

    known : T itself, or labels of scores["calibration"], to which T is fitted.
    """
    lines = []
    for members in (m for m in MEMBERS if m <= len(scores["test"])):
        part = {key: value[:members] for key, value in scores.items()}
        images = part.pop("calibration")
        t = known if isinstance(known, float) else fit_temperature(images, known)
        found = summary(part.pop("test"), labels, t, part)
        cells = [name, str(members), f"{t:.3f}"]
        cells += [f"{found[key]:.4f}" for key in ("accuracy", "nll", "ece", "brier")]
        cells += [f"{rate['entropy']:.3f}" for rate in found["auroc"].values()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def head() -> str:
    cells = ["network", "M", "T", "accuracy", "NLL", "ECE", "Brier", *STRANGE]
    return f"| {' | '.join(cells)} |\n{'|---' * len(cells)}|"


def validate(x: np.ndarray, y: np.ndarray, folds: int, epochs: int, draws: str, prior: float):
    """Judge the recipe on folds of the training images, pooled; T is fitted to the same ones."""
    parts: list[dict] = []
    truth: list[np.ndarray] = []
    split = StratifiedKFold(folds, shuffle=True, random_state=0)
    sampling = "none" if draws == "none" else "binary"
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "bayesian.nir"
        (Path(folder) / "nervure.toml").write_text((HERE / "nervure.toml").read_text())
        for part, held in split.split(x, y):
            export(fit(x[part], y[part], 1, epochs, draws, prior), model)
            sets = make_sets(x[held], y[held], seed=100 * len(parts))
            parts.append(scores_of(model, sets, sampling, spread=SPREAD))
            truth.append(y[held])
    scores = {name: np.concatenate([p[name] for p in parts], axis=1) for name in parts[0]}
    labels = np.concatenate(truth)
    print(head(), rows(f"{draws}, prior {prior}", scores | {"calibration": scores["test"]},
                       labels, labels), sep="\n")  # fmt: skip


def compare(sets: dict, fitted: tuple, y: np.ndarray, known: np.ndarray, epochs: int) -> None:
    """Print what networks of fixed weights reach: a twin of this one, and the digits example."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "twin.nir"
        (Path(folder) / "nervure.toml").write_text((HERE / "nervure.toml").read_text())
        export(fit(*fitted, 1, epochs, "none", 0.0), model)
        print(rows("fixed weights", scores_of(model, sets, "none"), y, known))
    folder = HERE.parent / "digits"
    sets = {name: {"events": arrays["events"][:, :8]} for name, arrays in sets.items()}
    with np.load(folder / "test.npz") as own:
        sets["test"] = {"events": own["events"]}
    scores = scores_of(folder / "digits.nir", sets, "none")
    print(rows("examples/digits, T as trained", scores, y, 0.8))
    best = scores | {"calibration": scores["test"]}
    print(rows("examples/digits, best T for the test", best, y, y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run into build/examples")
    parser.add_argument("--out", type=Path, help="folder to write to; default: here")
    parser.add_argument("--folds", type=int, help="only cross-validate the recipe on training data")
    parser.add_argument("--draws", choices=DRAWS, default="gaussian", help="of the training")
    parser.add_argument("--prior", type=float, default=PRIOR, help="weight of the divergence")
    args = parser.parse_args()
    out = args.out or (Path("build/examples/bayesian") if args.quick else HERE)
    torch.set_num_threads(1)
    epochs = 3 if args.quick else 150

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    x, x_test, y, y_test = train_test_split(x, y, test_size=360, stratify=y, random_state=0)
    x, x_known, y, y_known = train_test_split(x, y, test_size=237, stratify=y, random_state=0)
    if args.folds:
        validate(x, y, args.folds, epochs, args.draws, args.prior)
        return

    out.mkdir(parents=True, exist_ok=True)
    if out != HERE:
        (out / "nervure.toml").write_text((HERE / "nervure.toml").read_text())
    sets = make_sets(x_test, y_test, seed=0) | {"calibration": frozen(x_known, 1, y_known)}
    for name, arrays in sets.items():
        write_arrays(out / f"{name}.npz", **arrays)
    model = out / "bayesian.nir"
    export(fit(x, y, 1, epochs, args.draws, args.prior), model)
    print(head())
    for sampling in ("binary", "ternary"):
        for spread in (0.0, SPREAD):
            found = scores_of(model, sets, sampling, spread)
            print(rows(f"{sampling}, errors of p {spread}", found, y_test, y_known), flush=True)
    compare(sets, (x, y), y_test, y_known, epochs)
    spikes = ensemble(model, sets["test"]["events"], MEMBERS[-1])[1]
    print(f"spikes per sample: {spikes:.1f}")


if __name__ == "__main__":
    main()

"""What the training scripts share: surrogate spikes, int4 layers, pruning, files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import torch
from torch import Tensor, nn

LEVELS = 7
"""Weights are scale * integer, the integer within [-LEVELS, LEVELS]: symmetric 4 bits."""


class FastSigmoidSpike(torch.autograd.Function):
    """Forward: 1 where x > 0, strictly. Backward: 1 / (1 + slope |x|)^2 (Zenke & Ganguli 2018)."""

    @staticmethod
    def forward(ctx, x: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad / (1 + ctx.slope * x.abs()) ** 2, None


def spike(x: Tensor, slope: float = 5.0) -> Tensor:
    """1 where x > 0, with the fast-sigmoid surrogate gradient."""
    return FastSigmoidSpike.apply(x, slope)


class Lif(torch.autograd.Function):
    """Spikes of a LIF layer and its mean potential before the reset; one decay for all.

    The backward pass is written out, which is several times faster than recording every step. It
    does not follow the reset; a spike has the gradient 1 / (1 + 5 |v - 1|)^2.
    """

    @staticmethod
    def forward(ctx, currents: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
        v = torch.zeros_like(currents[0])
        before, potentials = torch.empty_like(currents), torch.empty_like(currents)
        for t, current in enumerate(currents):
            before[t] = v
            v = decay * v + current
            potentials[t] = v
            v = v - (v > 1).to(v.dtype)
        ctx.save_for_backward(before, potentials, decay)
        return (potentials > 1).to(v.dtype), potentials.mean(0)

    @staticmethod
    def backward(ctx, by_spike: Tensor, by_mean: Tensor) -> tuple[Tensor, Tensor]:
        before, potentials, decay = ctx.saved_tensors
        grad = by_spike / (1 + 5 * (potentials - 1).abs()) ** 2 + by_mean / len(potentials)
        for t in range(len(grad) - 2, -1, -1):
            grad[t] += decay * grad[t + 1]
        return grad, (grad * before).sum()


class QuantLinear(nn.Linear):
    """A linear layer with a pruning mask and, once `quantise` was called, 4-bit weights.

    Until then gradients also reach pruned weights, so that a later `prune` can bring them back.
    The one step size of the layer is learned (LSQ, arXiv 1902.08153): rounding passes the gradient
    straight through, and the step's own gradient is scaled by 1 / sqrt(weights * LEVELS).
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        super().__init__(inputs, outputs, bias=bias)
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.step = nn.Parameter(torch.tensor(1.0), requires_grad=False)
        self.quantised = False

    def prune(self, keep: float) -> None:
        """Keep only the largest `keep` share of the weights."""
        size = self.weight.detach().abs()
        count = max(1, round(keep * size.numel()))
        self.mask.copy_((size >= size.flatten().topk(count).values[-1]).float())

    def quantise(self) -> None:
        """Switch to 4 bits, from the step size with the smallest squared error."""
        w = (self.weight * self.mask).detach()
        steps = w.abs().max() / LEVELS * torch.linspace(0.3, 1.0, 71)
        errors = [((w / s).round().clamp(-LEVELS, LEVELS) * s - w).square().sum() for s in steps]
        self.step.data = steps[int(torch.stack(errors).argmin())]
        self.step.requires_grad_(True)
        self.quantised = True

    def effective(self) -> Tensor:
        """The weights that the forward pass uses."""
        w = self.weight * self.mask
        if not self.quantised:
            return self.weight + (w - self.weight).detach()
        share = 1 / (self.mask.sum() * LEVELS).sqrt()
        step = (self.step - self.step * share).detach() + self.step * share
        x = (w / step).clamp(-LEVELS, LEVELS)
        return (x + (x.round() - x).detach()) * step

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.effective(), self.bias)

    def exported(self) -> np.ndarray:
        """float32 weights; each is exactly float32(step) * integer."""
        step = np.float32(self.step.detach().item())
        integers = (self.weight * self.mask / self.step).detach().round().clamp(-LEVELS, LEVELS)
        return np.asarray(integers.numpy() * step, dtype=np.float32)


def quant_layers(net: nn.Module) -> list[QuantLinear]:
    """The QuantLinear layers of a network, in order of definition."""
    return [m for m in net.modules() if isinstance(m, QuantLinear)]


def cubic_keep(progress: float, final: float) -> float:
    """Share of weights to keep at `progress` in [0, 1] (Zhu & Gupta, arXiv 1710.01878)."""
    return final + (1 - final) * (1 - min(max(progress, 0.0), 1.0)) ** 3


def run_epochs(
    net: nn.Module,
    epochs: int,
    rate: float,
    batches: Callable[[], list[tuple]],
    loss_of: Callable[..., Tensor],
    *,
    before: Callable[[int], None] | None = None,
    label: str = "",
) -> None:
    """AdamW with a cosine schedule; `batches()` gives one epoch, `loss_of(*batch)` its loss."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs, eta_min=rate / 50)
    for epoch in range(epochs):
        if before:
            before(epoch)
        total, count = 0.0, 0
        for batch in batches():
            optimiser.zero_grad()
            loss = loss_of(*batch)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            total, count = total + loss.item(), count + 1
        schedule.step()
        if epoch % 10 == 9 or epoch == epochs - 1:
            print(f"  {label} epoch {epoch + 1}/{epochs} loss {total / count:.4f}", flush=True)


def write_graph(path: Path, nodes: dict, edges: list[tuple[str, str]], inputs: int, outputs: int):
    """Write a .nir file beside `path`, then rename it."""
    ends = {
        "input": nir.Input({"input": np.array([inputs])}),
        "output": nir.Output({"output": np.array([outputs])}),
    }
    part = path.with_suffix(".part.nir")
    nir.write(part, nir.NIRGraph({**ends, **nodes}, edges))
    os.replace(part, path)


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed .npz file beside `path`, then rename it."""
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **arrays)
    os.replace(part, path)

"""Networks of S4D layers in torch, as the importer reads their state_dict.

    h      = enc(x)
    h      = o.N(relu(l.N(h))) + h                                              N = 0, 1, ...
    answer = dec(mean of h over the frames of a series)

`l.N` is a complex diagonal state-space layer, after S4D (Gu et al., arXiv 2206.11893), with
zero-order hold: `order` states for each of `size` channels, pole a = exp(lambda dt), with
lambda = -exp(lre) + i im and dt = exp(logdt)::

    x[t] = a x[t-1] + u[t]      y[t] = sum over states of Re(mix x[t]) + D u[t]
    mix  = 2 C (a - 1) / lambda

Tensors of `l.N`: logdt and D [size], lre and im [size, order], C [size, order, 2] (real, imaginary
part).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["S4D", "S4DNet"]


def convolve(kernel: Tensor, u: Tensor) -> Tensor:
    """y[b, t, h] = sum over s <= t of kernel[h, s] u[b, t - s, h], by Fourier transforms."""
    steps = u.shape[1]
    spectrum = torch.fft.rfft(u, 2 * steps, dim=1) * torch.fft.rfft(kernel.T, 2 * steps, dim=0)
    return torch.fft.irfft(spectrum, 2 * steps, dim=1)[:, :steps]


class S4D(nn.Module):
    """The layer above; steps dt are drawn from `span`, poles begin at lambda = -1/2 + i pi n."""

    def __init__(self, size: int, order: int, span: tuple[float, float]) -> None:
        super().__init__()
        low, high = (math.log(dt) for dt in span)
        self.logdt = nn.Parameter(low + (high - low) * torch.rand(size))
        self.lre = nn.Parameter(torch.full((size, order), math.log(0.5)))
        self.im = nn.Parameter(math.pi * torch.arange(float(order)).repeat(size, 1))
        self.C = nn.Parameter(torch.randn(size, order, 2) / math.sqrt(2))
        self.D = nn.Parameter(torch.randn(size))

    def discrete(self) -> tuple[Tensor, Tensor]:
        """log a and mix, complex [size, order]."""
        rate = torch.complex(-self.lre.exp(), self.im)
        log = rate * self.logdt.exp()[:, None]
        return log, 2 * torch.view_as_complex(self.C) * torch.expm1(log) / rate

    def forward(self, u: Tensor) -> Tensor:
        """y for u, both [series, frames, size]."""
        log, mix = self.discrete()
        frames = torch.arange(float(u.shape[1]), device=u.device)
        kernel = torch.einsum("hn,hnt->ht", mix, torch.exp(log[..., None] * frames)).real
        return convolve(kernel, u) + self.D * u


class S4DNet(nn.Module):
    """The network above, with dropout behind each rectifier."""

    def __init__(
        self,
        inputs: int,
        size: int,
        order: int,
        layers: int,
        outputs: int,
        span: tuple[float, float],
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.enc = nn.Linear(inputs, size)
        self.l = nn.ModuleList(S4D(size, order, span) for _ in range(layers))
        self.o = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))
        self.dec = nn.Linear(size, outputs)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The answer [series, outputs] for x [series, frames, inputs]."""
        h = self.enc(x)
        for states, mixing in zip(self.l, self.o, strict=True):
            h = mixing(self.drop(states(h).relu())) + h
        real = torch.arange(x.shape[1]) < lengths[:, None]
        return self.dec((h * real[..., None]).sum(1) / lengths[:, None])

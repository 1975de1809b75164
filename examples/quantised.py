"""An S4DNet as Nervure's integers compute it, in torch: for fine-tuning with few bits.

The forward pass rounds what mapping/quantise.py rounds, by its rules: weights, poles, coefficients,
values between layers, states. The gradient takes every rounding for the identity, and is that of
the linear recurrence without rounding. Grids are powers of two, so that all that is added up in one
neuron lies on one grid, and an exported network's integers are found again exactly:

weights        bits wide, one step for a layer
mix            bits wide, one step for a channel; D: bits significant bits
poles          F fraction bits, the least that reach log2(1 / (1 - |a|)) + 4 for the slowest
values         8 bits, in the least step that holds the largest of the calibration samples
states         state_bits, rounded half up, in the steps of mapping/state_space.py
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict

import torch
from s4d import S4D, S4DNet, convolve
from torch import Tensor, nn

__all__ = ["QuantisedNet"]

VALUE_TOP = 127
MEMBRANE_BITS = 16
"""Of the sum over a channel's states."""


def as_if(x: Tensor, y: Tensor) -> Tensor:
    """y to the last bit, with the gradient of x."""
    return y.detach() + (x - x.detach())


def near(x: Tensor, step: Tensor | float, low: float = -math.inf, high: float = math.inf) -> Tensor:
    """The multiple of step next to x, halves up, between low and high steps."""
    return as_if(x, (x / step + 0.5).floor().clamp(low, high) * step)


def above(x: Tensor) -> Tensor:
    """The least power of two from x on."""
    return torch.exp2(torch.ceil(torch.log2(x.double()) - 1e-9)).to(x.dtype)


def best_step(w: Tensor, top: int) -> Tensor:
    """The power of two for each row of w whose multiples up to top are nearest to the row."""
    tightest = above(w.abs().amax(1) / (top + 0.5))[:, None]
    steps = [tightest * 2.0**-i for i in range(3)]
    error = torch.stack([((near(w, s, -top, top) - w) ** 2).sum(1) for s in steps])
    return torch.stack(steps)[error.argmin(0), torch.arange(len(w))]


class Mixing(nn.Module):
    """A linear layer on a grid; what comes by `past` is added as it is."""

    def __init__(self, layer: nn.Linear, top: int) -> None:
        super().__init__()
        self.weight, self.bias, self.top = layer.weight, layer.bias, top
        self.step = float(best_step(layer.weight.detach().reshape(1, -1), top))
        self.value = 0.0
        """Real value of one unit of its values; 0: values are not rounded."""

    def exact(self) -> tuple[Tensor, Tensor]:
        bias = near(self.bias, self.value / 8) if self.value else self.bias
        return near(self.weight, self.step, -self.top, self.top), bias

    def forward(self, x: Tensor, past: Tensor | float = 0.0) -> Tensor:
        return nn.functional.linear(x, *self.exact()) + past

    def emit(self, v: Tensor) -> Tensor:
        return near(v, self.value, -VALUE_TOP - 1, VALUE_TOP) if self.value else v


class States(nn.Module):
    """An S4D layer on grids."""

    def __init__(self, layer: S4D, top: int, state_bits: int) -> None:
        super().__init__()
        self.layer, self.top, self.state_top = layer, top, (1 << state_bits - 1) - 1
        mix = torch.view_as_real(layer.discrete()[1].detach())
        self.step = best_step(mix.flatten(1), top)[..., None]
        self.value = self.sum_unit = 0.0
        self.units = torch.zeros(0)

    def exact(self) -> tuple[Tensor, Tensor, Tensor]:
        """Poles and mix, complex [size, order], and D."""
        log, mix = self.layer.discrete()
        pole, feed = torch.view_as_real(log.exp()), self.layer.D
        slowest = pole.detach().double().square().sum(-1).sqrt().max()
        fraction = min(max(math.ceil(-math.log2(1 - slowest)) + 4, 8), 17)
        mix = near(torch.view_as_real(mix), self.step, -self.top, self.top)
        unit = above(feed.detach().abs() / (self.top + 0.5))
        parts = near(pole, 2.0**-fraction), mix
        return *(torch.view_as_complex(x.contiguous()) for x in parts), near(feed, unit)

    def run(self, u: Tensor, keep: bool = False) -> tuple[Tensor, Tensor]:
        """y [series, frames, size] step by step, without gradients, and the states' peaks."""
        pole, mix, feed = (x.detach() for x in self.exact())
        units = self.units if len(self.units) else torch.ones_like(pole.real)
        re = im = torch.zeros(len(u), *pole.shape, dtype=u.dtype)
        cr, ci, peak, sums = mix.real * units, mix.imag * units, units * 0, []
        for now in u.unbind(1):
            given = now[..., None] / units
            parts = [pole.real * re - pole.imag * im + given, pole.real * im + pole.imag * re]
            if len(self.units):
                parts = [
                    (x + 0.5).floor_().clamp_(-self.state_top - 1, self.state_top) for x in parts
                ]
            re, im = parts
            sums.append((cr * re - ci * im).sum(-1) + feed * now)
            if keep:
                peak = torch.maximum(peak, torch.maximum(re.abs(), im.abs()).amax(0))
        return torch.stack(sums, 1), peak

    def forward(self, u: Tensor) -> Tensor:
        pole, mix, feed = self.exact()
        frames = torch.arange(u.shape[1], dtype=u.dtype)
        kernel = torch.einsum("hn,hnt->ht", mix, torch.exp(pole.log()[..., None] * frames)).real
        y = convolve(kernel, u) + feed * u
        if not len(self.units):
            return y
        with torch.no_grad():
            rounded = near(self.run(u)[0], self.sum_unit)
        return as_if(y, rounded)

    def emit(self, v: Tensor) -> Tensor:
        return near(v.relu(), self.value, 0, VALUE_TOP) if self.value else v.relu()

    @torch.no_grad()
    def calibrate(self, u: Tensor, payload: float) -> Tensor:
        """Choose the states' units for inputs that count in `payload`; y without rounding."""
        self.units = torch.zeros(0)
        y, peak = self.run(u, keep=True)
        pole = self.exact()[0].abs()
        rms = u.square().mean((0, 1)).sqrt()
        need = torch.maximum(2 * peak, rms[:, None] / (1 - pole**2).sqrt())
        direct = 2 * u.abs().amax((0, 1))
        fine = torch.floor(torch.log2(payload * self.state_top / need))
        least = min(fine.min(), torch.floor(torch.log2(payload * self.state_top / direct)).min())
        self.units = payload * torch.exp2(-torch.minimum(fine, least + 7))
        self.sum_unit = float(above(2 * y.abs().max() * 2.0 ** (1 - MEMBRANE_BITS)))
        self.value = float(above(y.relu().max() / VALUE_TOP))
        return y


class QuantisedNet(nn.Module):
    """A copy of `net` on grids; call `calibrate` before use and after training."""

    def __init__(self, net: S4DNet, bits: int = 4, state_bits: int = 16) -> None:
        super().__init__()
        net, top = copy.deepcopy(net), (1 << bits - 1) - 1
        self.enc, self.dec = Mixing(net.enc, top), Mixing(net.dec, top)
        self.l = nn.ModuleList(States(layer, top, state_bits) for layer in net.l)
        self.o = nn.ModuleList(Mixing(layer, top) for layer in net.o)

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Choose the units of values and states by these series, all of full length."""
        for part in (self.enc, self.dec, *self.l, *self.o):
            part.value = 0.0
        units = []
        h = self.enc(x)
        units.append(above(h.abs().max() / VALUE_TOP))
        for states, mixing in zip(self.l, self.o, strict=True):
            y = states.calibrate(h, float(units[-1]))
            h = mixing(y.relu(), h)
            units.append(above(h.abs().max() / VALUE_TOP))
        units.append(above(self.dec(h).abs().max() / VALUE_TOP))
        for part, unit in zip((self.enc, *self.o, self.dec), units, strict=True):
            part.value = float(unit)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The answer [series, outputs] for x [series, frames, inputs]."""
        h = self.enc.emit(self.enc(x))
        for states, mixing in zip(self.l, self.o, strict=True):
            h = mixing.emit(mixing(states.emit(states(h)), h))
        real = torch.arange(x.shape[1]) < lengths[:, None]
        return self.dec((h * real[..., None]).sum(1) / lengths[:, None])

    @torch.no_grad()
    def exported(self) -> OrderedDict[str, Tensor]:
        """A state_dict of S4DNet that lies on the grids, float64 where float32 would not."""
        self.double()
        found: OrderedDict[str, Tensor] = OrderedDict()

        def linear(name: str, layer: Mixing) -> None:
            weight, bias = layer.exact()
            found.update({f"{name}.weight": weight.float(), f"{name}.bias": bias.float()})

        linear("enc", self.enc)
        for i, states in enumerate(self.l):
            pole, mix, feed = states.exact()
            logdt = states.layer.logdt
            rate = pole.log() / logdt.exp()[:, None]
            c = torch.view_as_real(mix * rate / (2 * (pole - 1)))
            parts = {"logdt": logdt, "lre": (-rate.real).log(), "im": rate.imag, "C": c, "D": feed}
            found.update({f"l.{i}.{name}": value for name, value in parts.items()})
        for i, layer in enumerate(self.o):
            linear(f"o.{i}", layer)
        linear("dec", self.dec)
        return OrderedDict((name, value.detach().clone()) for name, value in found.items())

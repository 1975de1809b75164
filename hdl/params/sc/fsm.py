"""Functions by saturating counters: tanh, exp and ReLU of a bipolar stream.

All three have a state s in 0..N - 1, N = `states`. x is the value of the stream, p = (1 + x) / 2
the probability of a one, r = p / (1 - p) = (1 + x) / (1 - x).

`Tanh` and `Exponential` count ones up and zeros down, and put out what the state was before the bit
came in (Brown & Card, "Stochastic Neural Computation I", IEEE Trans. Computers 50, 2001)::

    s(0) = N / 2;  s(t + 1) = min(N - 1, s(t) + 1) if a(t) else max(0, s(t) - 1)
    Tanh         y(t) = s(t) >= N / 2
    Exponential  y(t) = s(t) < N - G                       G = `gain`

For i.i.d. bits state k has in the long run a probability proportional to r**k, hence exactly::

    Tanh         bipolar   y = (r**(N/2) - 1) / (r**(N/2) + 1) = tanh(N / 2 * artanh(x))
    Exponential  unipolar  y = (1 - r**(N - G)) / (1 - r**N)

Brown & Card's approximations are tanh(N x / 2), off by at most .0549 (N = 4), .0131 (8),
.0032 (16), .0008 (32), and exp(-2 G x) for x > 0, off by exp(-2 G) at x = 1 and by G / N at x = 0,
by less in between. For x < 0 the exponential goes to 1.

`Relu` accumulates its own output and compares (UnarySim kernel/relu.py, FSUReLU, rate-coded): a
zero is turned into a one whenever the output so far has more zeros than ones::

    s(0) = 1;  y(t) = a(t) | (s(t) = 0);  s(t + 1) = min(N - 1, s(t) + 1) if y(t) else s(t) - 1

(UnarySim's accumulator of depth d is s + 2**(d-1) - 1 with N = 2**(d-1) + 1; the lower half of its
range is never reached.) For i.i.d. bits, with M = N - 1, exactly::

    Relu         bipolar   y = x + (1 - x) * x / (x + r**M - 1);   1 / (2 M + 1) at x = 0

which is max(0, x) for M without limit. The sum of the output bits as +1 and -1 is never below -1.

These laws hold for streams without memory: i.i.d. bits, or an LFSR of many steps a cycle. They do
NOT hold for Sobol, Van der Corput or ramp streams, whose ones come evenly or all at once, nor for
an LFSR of one step a cycle, whose next number is this one shifted. RMS error against the laws, for
2**15 bits, 19 values of x from -.9 to .9, of Tanh N = 4, 8, 32 and Relu N = 32::

    i.i.d.                   .005  .006  .010    .002
    LFSR 32, 8 to 32 steps   .004  .008  .006 to .007  .015  .037    .002 to .004
    LFSR 32, 1 step          .133  .149  .056    .002
    Van der Corput           .444  .328  .231    .004
    Sobol, dimension 2       .243  .261  .117    .004
    ramp                     .219  .384  .534    .295

Deep counters need long streams: near x = 0 it takes about N**2 cycles to forget the start.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["ExponentialParams", "ReluParams", "TanhParams"]


@dataclass(frozen=True, kw_only=True)
class _Even(UnitParams):
    """A saturating counter with an even number of `states`, 2..1024."""

    states: int = 8

    def __post_init__(self) -> None:
        check_integer("states", self.states, 2, 1024)
        if self.states % 2:
            raise ValueError(f"states must be even, not {self.states}")

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("y", "out"))


@dataclass(frozen=True, kw_only=True)
class TanhParams(_Even):
    """tanh(states / 2 * artanh(x)), about tanh(states / 2 * x)."""


@dataclass(frozen=True, kw_only=True)
class ExponentialParams(_Even):
    """About exp(-2 * gain * x) for x > 0, 1 for x < 0; `gain` is in 1..states - 1."""

    states: int = 32
    gain: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("gain", self.gain, 1, self.states - 1)


@dataclass(frozen=True, kw_only=True)
class ReluParams(UnitParams):
    """max(0, x) with a counter of `states`, 2..1024."""

    states: int = 32

    def __post_init__(self) -> None:
        check_integer("states", self.states, 2, 1024)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("y", "out"))

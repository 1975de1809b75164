"""From a stream back to a binary number.

`Estimate` counts over a run of `cycles` cycles, 1..2**bits, set at run time::

    value(t) = sum over s <= min(t, cycles - 1) of a(s)            unipolar
    value(t) = sum over s <= min(t, cycles - 1) of 2 a(s) - 1      bipolar
    done(t)  = t >= cycles - 1

value / (t + 1), later value / cycles, is the stream's value. It is progressive: value(t) stands
there after each cycle. How good it is after few cycles depends on the stream's generator; see
hdl/params/sc/progress.py for stopping early by itself.

`MovingAverage` forgets exponentially, with a weight of 2**-shift for the newest bit::

    acc' = acc - floor(acc / 2**shift) + 2**width * x,    x = a unipolar, 2 a - 1 bipolar;  acc = 0
    value = floor(acc' / 2**shift)                        0..2**width or -2**width..2**width

It is off by less than 1 from the same average without rounding, 2**width * E,
E' = E + (x - E) / 2**shift. For independent bits of probability p, E has mean p (bipolar 2 p - 1)
times 1 - (1 - 2**-shift)**t after t bits, and in the long run the standard deviation
sqrt(p (1 - p) / (2**(shift + 1) - 1)), twice that for bipolar.

Source: Gaines 1967 (integrators, ADDIE).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import ENCODINGS, Port, UnitParams, check_choice, check_integer

__all__ = ["EstimateParams", "MovingAverageParams"]


@dataclass(frozen=True, kw_only=True)
class EstimateParams(UnitParams):
    """A counter of a stream.

    Parameters
    ----------
    bits : the longest run is 2**bits cycles, 0..32.
    encoding : "unipolar" or "bipolar".
    """

    bits: int = 8
    encoding: str = "unipolar"

    latency = 1

    def __post_init__(self) -> None:
        check_integer("bits", self.bits, 0, 32)
        check_choice("encoding", self.encoding, ENCODINGS)

    @property
    def ports(self) -> tuple[Port, ...]:
        signed = self.encoding == "bipolar"
        return (
            Port("a", "in"),
            Port("cycles", "in", "held", self.bits + 1, low=1, high=1 << self.bits),
            Port("value", "out", "word", self.bits + 1 + signed, signed),
            Port("done", "out"),
        )


@dataclass(frozen=True, kw_only=True)
class MovingAverageParams(UnitParams):
    """An exponential average of a stream.

    Parameters
    ----------
    width : the value of a stream of ones is 2**width, 1..24.
    shift : the newest bit has the weight 2**-shift, 0..16.
    encoding : "unipolar" or "bipolar".
    """

    width: int = 8
    shift: int = 5
    encoding: str = "unipolar"

    latency = 1

    def __post_init__(self) -> None:
        check_integer("width", self.width, 1, 24)
        check_integer("shift", self.shift, 0, 16)
        check_choice("encoding", self.encoding, ENCODINGS)

    @property
    def ports(self) -> tuple[Port, ...]:
        signed = self.encoding == "bipolar"
        return (Port("a", "in"), Port("value", "out", "word", self.width + 1 + signed, signed))

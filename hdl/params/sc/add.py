"""Adders of n streams x0 .. x(n-1).

`MuxAdd`: y = x[s], where the bits s0 (lowest), s1, ... of the select streams form s. If those are
independent of the inputs, each of probability 1/2 and independent of one another (SCC = 0), y is
the mean of the inputs, in either encoding; with other probabilities it is the weighted mean
sum of p(s = i) x(i).

`OrAdd`: y = x0 | x1 | ... Unipolar. p(y) = 1 - product of (1 - p(xi)) for independent streams
(SCC = 0); max(p(xi)) for SCC = +1; min(1, p(x0) + p(x1)), the sum itself, for two of SCC = -1.

`ParallelCount`, the accumulative parallel counter: with o(t) = number of ones among x0 .. x(n-1)::

    count(t) = sum over s <= t of o(s)             unipolar, modulo 2**bits
    count(t) = sum over s <= t of 2 o(s) - n       bipolar, two's complement of `bits`

It loses nothing and needs no independence: count / length is the sum of the inputs' values.

`ScaledAdd`, any scale m from 1 (non-scaled: saturates at 1) to n (scaled: the mean)::

    u(t)   = min(max(acc(t) + o(t) - offset, -limit), limit)     limit = 2**(depth - 2)
    y(t)   = u(t) >= m
    acc(t+1) = u(t) - m y(t),   acc(0) = 0
    offset = 0 unipolar, (n - m) / 2 bipolar

The accumulator counts halves where n - m is odd and the encoding is bipolar, so this is exact.
Conservation: as long as u does not saturate, m * (ones of y) + acc = ones of all inputs - offset *
cycles. So the value of y is sum of x(i) / m, in either encoding, off by at most |acc| / length, for
streams of any correlation; for m = n and unipolar 0 <= acc < n at all times. Where the sum lies
outside the range of y, the accumulator saturates and y is all ones or zeros.

Source: Gaines 1967 (multiplexer), Ting & Hayes 2014 and Parhami & Yeh 1995 (parallel counter);
`ScaledAdd` is FSUAdd of github diwu1990/UnarySim (kernel/add.py; Wu et al., ISCA 2020), whose
second clamp after the subtraction never acts.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import ENCODINGS, Port, UnitParams, check_choice, check_integer

__all__ = ["MuxAddParams", "OrAddParams", "ParallelCountParams", "ScaledAddParams", "streams"]


def streams(name: str, count: int) -> tuple[Port, ...]:
    """`count` input streams, `name`0, `name`1, ..."""
    return tuple(Port(f"{name}{k}", "in") for k in range(count))


@dataclass(frozen=True, kw_only=True)
class MuxAddParams(UnitParams):
    """The multiplexer as scaled adder.

    Parameters
    ----------
    inputs : a power of two, 2..256.
    """

    sequential = False

    inputs: int = 2

    def __post_init__(self) -> None:
        check_integer("inputs", self.inputs, 2, 256)
        if self.inputs & (self.inputs - 1):
            raise ValueError(f"inputs must be a power of two, not {self.inputs}")

    @property
    def selects(self) -> int:
        """Number of select streams."""
        return self.inputs.bit_length() - 1

    @property
    def ports(self) -> tuple[Port, ...]:
        return (*streams("x", self.inputs), *streams("s", self.selects), Port("y", "out"))


@dataclass(frozen=True, kw_only=True)
class OrAddParams(UnitParams):
    """The OR gate as adder of small numbers.

    Parameters
    ----------
    inputs : 2..256.
    """

    sequential = False

    inputs: int = 2

    def __post_init__(self) -> None:
        check_integer("inputs", self.inputs, 2, 256)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (*streams("x", self.inputs), Port("y", "out"))


@dataclass(frozen=True, kw_only=True)
class ParallelCountParams(UnitParams):
    """The accumulative parallel counter.

    Parameters
    ----------
    inputs : 1..256.
    encoding : "unipolar" or "bipolar".
    bits : of the count, at least what one cycle can add, at most 62.
    """

    inputs: int
    encoding: str = "unipolar"
    bits: int = 16

    def __post_init__(self) -> None:
        check_integer("inputs", self.inputs, 1, 256)
        check_choice("encoding", self.encoding, ENCODINGS)
        least = self.inputs.bit_length() + (self.encoding == "bipolar")
        check_integer("bits", self.bits, least, 62)

    @property
    def latency(self) -> int:  # type: ignore[override]
        return 2 if self.inputs <= 8 else 3

    @property
    def ports(self) -> tuple[Port, ...]:
        signed = self.encoding == "bipolar"
        return (*streams("x", self.inputs), Port("count", "out", "word", self.bits, signed))


@dataclass(frozen=True, kw_only=True)
class ScaledAddParams(UnitParams):
    """The accumulative adder of any scale.

    Parameters
    ----------
    inputs : n, 1..256.
    scale : m, 1..n; 0 is n.
    encoding : "unipolar" or "bipolar".
    depth : bits of the accumulator; 2**(depth - 2) is at least 2 n; at most 24.
    registers : 0, y comes in the cycle of its inputs; 1, after a register of what they add; 2,
        after another one of y; 3, after another one of the number of ones of each eight inputs.
    """

    inputs: int
    scale: int = 0
    encoding: str = "unipolar"
    depth: int = 10
    registers: int = 0

    def __post_init__(self) -> None:
        check_integer("inputs", self.inputs, 1, 256)
        if self.scale == 0:
            object.__setattr__(self, "scale", self.inputs)
        check_integer("scale", self.scale, 1, self.inputs)
        check_choice("encoding", self.encoding, ENCODINGS)
        check_integer("depth", self.depth, (2 * self.inputs - 1).bit_length() + 2, 24)
        check_integer("registers", self.registers, 0, 3)

    @property
    def latency(self) -> int:  # type: ignore[override]
        return self.registers

    @property
    def unit(self) -> int:
        """What the accumulator counts: 1, or 2 for halves."""
        return 2 if self.encoding == "bipolar" and (self.inputs - self.scale) % 2 else 1

    @property
    def offset(self) -> int:
        """What a cycle subtracts, in the accumulator's unit."""
        return (self.inputs - self.scale) * self.unit // 2 if self.encoding == "bipolar" else 0

    @property
    def limit(self) -> int:
        """Where the accumulator saturates, in its unit."""
        return self.unit << (self.depth - 2)

    @property
    def least(self) -> int:
        """The least value of the accumulator, in its unit."""
        return -self.limit if self.offset else 0

    @property
    def most(self) -> int:
        """The greatest value of the accumulator between cycles, in its unit."""
        return self.scale - 1 if self.scale == self.inputs else self.limit - self.scale * self.unit

    @property
    def ports(self) -> tuple[Port, ...]:
        return (*streams("x", self.inputs), Port("y", "out"))

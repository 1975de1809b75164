"""uMAC: the sum of n products of a stream with a held number.

Product k is uMUL's (hdl/params/sc/umul.py) of x<k> and b<k>; all use the same Sobol dimension,
since uMUL needs no decorrelation. Their sum is as in hdl/params/sc/add.py: "stream", a
`ScaledAdd` with `scale`; "count", a `ParallelCount` of `bits`. For "count" and unipolar, after t
cycles::

    count = sum over k of #(i < K(k, t) : r(i) < b(k)),   K(k, t) = ones of x<k>

Source: Wu et al., uGEMM, ISCA 2020 (uMUL and an accumulative parallel counter).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.add import ParallelCountParams, ScaledAddParams, streams
from hdl.params.sc.umul import UMulParams, held_operand
from hdl.params.sc.unit import Port, UnitParams, check_choice, check_integer

__all__ = ["UMacParams"]


@dataclass(frozen=True, kw_only=True)
class UMacParams(UnitParams):
    """A dot product of streams with held numbers.

    Parameters
    ----------
    inputs : n, 1..256.
    width, encoding, dimension : of the products, see `UMulParams`.
    output : "stream" or "count".
    scale : of the stream, 1..n; 0 is n.
    bits : of the count.
    """

    inputs: int
    width: int
    encoding: str = "unipolar"
    dimension: int = 1
    output: str = "stream"
    scale: int = 0
    bits: int = 16

    def __post_init__(self) -> None:
        check_integer("inputs", self.inputs, 1, 256)
        check_choice("output", self.output, ("stream", "count"))
        _ = self.product, self.adder  # they check the rest

    @property
    def product(self) -> UMulParams:
        """Each product."""
        return UMulParams(width=self.width, encoding=self.encoding, dimension=self.dimension)

    @property
    def adder(self) -> ScaledAddParams | ParallelCountParams:
        """The sum."""
        if self.output == "count":
            return ParallelCountParams(inputs=self.inputs, encoding=self.encoding, bits=self.bits)
        return ScaledAddParams(
            inputs=self.inputs,
            scale=self.scale,
            encoding=self.encoding,
            depth=max(10, (2 * self.inputs - 1).bit_length() + 2),
            registers=2 if self.inputs <= 8 else 3,
        )

    @property
    def latency(self) -> int:  # type: ignore[override]
        return self.product.latency + self.adder.latency

    @property
    def ports(self) -> tuple[Port, ...]:
        held = (held_operand(f"b{k}", self.width, self.encoding) for k in range(self.inputs))
        return (*streams("x", self.inputs), *held, self.adder.ports[-1])

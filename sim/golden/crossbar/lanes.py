"""Draws and reads of 64 columns at a time, as LLVM vectors.

numba would widen bytes to 64 bits; as vectors of 16 bit numbers a read takes a few instructions for
32 devices. Any processor has them, wide or narrow. Bytes of words count from the lowest
(little-endian machines).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hdl.params.crossbar.noise import MOST_COLUMNS, angles

__all__ = ["ANGLES", "LANES", "add_reads", "add_sensed", "put_draws"]

#: Columns of a chunk.
LANES = 64

_CHUNKS, _GROUPS = MOST_COLUMNS // LANES, LANES // 8

#: Rotations [chunk, 3 * i + term, g]: those of word 4 * (8 * chunk + g) + i.
ANGLES = np.array(
    [
        [
            [angles(4 * g + i)[term] for g in range(_GROUPS * chunk, _GROUPS * (chunk + 1))]
            for i in range(4)
            for term in range(3)
        ]
        for chunk in range(_CHUNKS)
    ],
    dtype=np.uint64,
)

_BYTE, _SHORT, _INT, _LONG = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def _vector(element: ir.Type, count: int = LANES) -> ir.Type:
    return ir.VectorType(element, count)


def _all(value: int, element: ir.Type = _SHORT) -> ir.Constant:
    return ir.Constant(_vector(element), [value] * LANES)


class _Code:
    """Emits code for columns 64 * chunk .. 64 * chunk + 63; arguments by their names."""

    def __init__(self, names: str, context: Any, builder: Any, signature: Any, values: Any) -> None:
        self.context, self.builder = context, builder
        self.arguments = dict(zip(names.split(), values, strict=True))
        self.types = dict(zip(names.split(), signature.args, strict=True))

    def pointer(self, name: str, element: ir.Type, *, row: bool = False) -> Any:
        """To the chunk of an array, or of its row `row` (arrays have whole chunks of columns)."""
        b = self.builder
        array = self.context.make_array(self.types[name])(self.context, b, self.arguments[name])
        at = b.mul(self.arguments["chunk"], _LONG(LANES))
        if row:
            columns = b.extract_value(array.shape, 1)
            at = b.add(at, b.mul(self.arguments["row"], columns))
        return b.bitcast(b.gep(array.data, [at]), _vector(element).as_pointer())

    def load(self, name: str, element: ir.Type, *, row: bool = False) -> Any:
        pointer = self.pointer(name, element, row=row)
        return self.builder.load(pointer, align=element.width // 8)

    def splat(self, name: str, element: ir.Type, count: int) -> Any:
        none = ir.Constant(_vector(element, count), ir.Undefined)
        one = self.builder.insert_element(none, self.arguments[name], _INT(0))
        return self.builder.shuffle_vector(one, none, ir.Constant(_vector(_INT, count), None))

    def draws(self) -> Any:
        """z, of arguments angles, chunk, s0, s1."""
        b, words = self.builder, _vector(_LONG, _GROUPS)
        name = f"llvm.fshl.v{_GROUPS}i64"
        rotate = b.module.globals.get(name) or ir.Function(
            b.module, ir.FunctionType(words, [words] * 3), name
        )
        table = self.context.make_array(self.types["angles"])(
            self.context, b, self.arguments["angles"]
        )
        table = b.bitcast(table.data, words.as_pointer())
        first = b.mul(self.arguments["chunk"], _LONG(12))
        state = [self.splat("s0", _LONG, _GROUPS), self.splat("s1", _LONG, _GROUPS)]
        parts = []
        for i in range(4):
            word = _vector(_LONG, _GROUPS)(None)
            for term in range(3):
                place = b.gep(table, [b.add(first, _LONG(3 * i + term))])
                s = state[term & 1]
                word = b.xor(word, b.call(rotate, [s, s, b.load(place, align=8)]))
            parts.append(b.zext(b.bitcast(word, _vector(_BYTE)), _vector(_SHORT)))
        return b.sub(b.add(parts[0], parts[2]), b.add(parts[1], parts[3]))

    def values(self) -> Any:
        """v, of those and shift = 15 - F, row, h, s.

        The upper half of a product of 16 bit numbers, and one bit more to round by:
        (s << shift) * (z << 2) >> 16 = floor(2 * s * z / 2**F), v = (2 * h + 1 + that) >> 1.
        """
        b = self.builder
        s = b.zext(self.load("s", _BYTE, row=True), _vector(_SHORT))
        factor, z = b.shl(s, self.splat("shift", _SHORT, LANES)), b.shl(self.draws(), _all(2))
        product = b.mul(b.sext(factor, _vector(_INT)), b.sext(z, _vector(_INT)))
        upper = b.trunc(b.lshr(product, _all(16, _INT)), _vector(_SHORT))
        twice = b.add(b.shl(self.load("h", _SHORT, row=True), _all(1)), _all(1))
        v = b.ashr(b.add(twice, upper), _all(1))
        return b.select(b.icmp_signed(">", v, _all(0)), v, _all(0))

    def add(self, value: Any) -> None:
        total = self.builder.add(self.load("total", _SHORT), value)
        self.builder.store(total, self.pointer("total", _SHORT), align=2)


def _emit(names: str, body: Callable[[_Code], None]) -> Callable[..., Any]:
    def emit(context: Any, *rest: Any) -> Any:
        body(_Code(names, context, *rest))
        return context.get_dummy_value()

    return emit


@intrinsic
def put_draws(_context, angles, chunk, s0, s1, z):
    """A row of draws of state (s0, s1), uint64, into z, int16; `angles`: ANGLES."""

    def body(code: _Code) -> None:
        code.builder.store(code.draws(), code.pointer("z", _SHORT), align=2)

    signature = types.void(angles, types.int64, types.uint64, types.uint64, z)
    return signature, _emit("angles chunk s0 s1 z", body)


@intrinsic
def add_reads(_context, angles, chunk, s0, s1, shift, row, h, s, total):
    """total, uint16, += v of row `row` of devices h, s (int16, uint8); `shift` = 15 - F."""

    def body(code: _Code) -> None:
        code.add(code.values())

    signature = types.void(
        angles, types.int64, types.uint64, types.uint64, types.int16, types.int64, h, s, total
    )
    return signature, _emit("angles chunk s0 s1 shift row h s total", body)


@intrinsic
def add_sensed(_context, angles, chunk, s0, s1, shift, row, h, s, total, reference):
    """total, uint16, += 1 where v > reference, int16."""

    def body(code: _Code) -> None:
        above = code.builder.icmp_signed(">", code.values(), code.load("reference", _SHORT))
        code.add(code.builder.zext(above, _vector(_SHORT)))

    signature = types.void(
        angles, types.int64, types.uint64, types.uint64, types.int16, types.int64, h, s, total,
        reference,
    )  # fmt: skip
    return signature, _emit("angles chunk s0 s1 shift row h s total reference", body)

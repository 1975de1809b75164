"""Arithmetic in 16 bits, which numba itself would widen to 64: four times the cells an instruction.

Exact for all operands of hdl/params/crossbar; tests hold it against Python's integers.
"""

# mypy: ignore-errors
from numba import types
from numba.extending import intrinsic

__all__ = ["draw", "spread"]


@intrinsic
def draw(typing, u0, u1, u2, u3):
    """z = u0 - u1 + u2 - u3 of four bytes, int16."""

    def body(context, builder, signature, arguments):
        wide = context.get_value_type(types.int16)
        a, b, c, d = (builder.zext(u, wide) for u in arguments)
        return builder.sub(builder.add(a, c), builder.add(b, d))

    return types.int16(*(types.uint8,) * 4), body


@intrinsic
def spread(typing, h, s, z, shift):
    """v = max(0, h + ((s * z + 2**(F-1)) >> F)) for shift = 15 - F in 3..7, uint16.

    h 0..4095, s 0..255, z -510..510. The upper half of a 16 x 16 bit product, rounded by one more
    bit: (s << shift) * (z << 2) >> 16 = floor(2 * s * z / 2**F), and v = (2h + 1 + that) >> 1.
    """

    def body(context, builder, signature, arguments):
        h, s, z, shift = arguments
        narrow, wide = context.get_value_type(types.int16), context.get_value_type(types.int32)

        def constant(value):
            return context.get_constant(types.int16, value)

        factor = builder.shl(builder.zext(s, narrow), shift)
        product = builder.mul(
            builder.sext(factor, wide), builder.sext(builder.shl(z, constant(2)), wide)
        )
        upper = builder.trunc(builder.lshr(product, context.get_constant(types.int32, 16)), narrow)
        twice = builder.add(builder.add(builder.shl(h, constant(1)), constant(1)), upper)
        v = builder.ashr(twice, constant(1))
        return builder.select(builder.icmp_signed(">", v, constant(0)), v, constant(0))

    return types.uint16(types.int16, types.uint8, types.int16, types.int16), body

"""Small combinational parts of fixed-point datapaths, as functions on Amaranth values."""

from amaranth.hdl import Cat, Const, Mux, Shape, Value, signed, unsigned

__all__ = ["exceeds", "integer", "saturate", "scaled_sum", "times"]


def integer(bits: int) -> Shape:
    """A signed number of `bits` bits; none at all for 0."""
    return signed(bits) if bits else unsigned(0)


def csd(number: int) -> list[tuple[int, int]]:
    """Canonical signed digits of `number` >= 0: (sign, power), few and never adjacent."""
    digits = []
    power = 0
    while number:
        if number & 1:
            sign = 2 - (number & 3)
            digits.append((sign, power))
            number -= sign
        number >>= 1
        power += 1
    return digits


def times(value: Value, factor: int | Value) -> Value:
    """value * factor; a constant factor becomes shifts and adds, so no multiplier is built."""
    if not isinstance(factor, int):
        return value * factor
    total = Const(0, signed(1))
    for sign, power in csd(factor):
        term = value.shift_left(power)
        total = total + term if sign > 0 else total - term
    return total


def scaled_sum(value: Value, bits: int, other: Value | int) -> Value:
    """((value + 2**(bits-1)) >> bits) + other for a signed `value`.

    A division by 2**bits, halves rounded up, and a sum in one adder: the highest bit that is
    shifted out is the carry that comes in.
    """
    if bits == 0:
        return value + other
    other = Value.cast(other)
    if len(value) <= bits:
        value = Cat(value, value[-1].replicate(bits + 1 - len(value)))
    carry = value[bits - 1]
    high = Cat(carry, value[bits:]).as_signed()
    low = Cat(carry, other)
    total = high + (low.as_signed() if other.shape().signed else low)
    return total[1:].as_signed()


def saturate(value: Value, bits: int) -> Value:
    """`value` clipped to a signed number of `bits` bits."""
    width = len(value)
    if width <= bits:
        return value
    sign, top = value[-1], value[bits - 1 : width]
    fits = (top == 0) | top.all()
    limit = Cat((~sign).replicate(bits - 1), sign)
    return Mux(fits, value[:bits], limit).as_signed()


def exceeds(value: Value, limit: Value | int) -> Value:
    """abs(value) > limit for a signed `value`: the sign of limit - abs(value), from one adder."""
    limit = Value.cast(limit)
    up = ~value[-1]  # value is to be negated: inverted, and the carry that comes in
    high = Cat(up, value.as_unsigned() ^ up.replicate(len(value))).as_signed()
    low = Cat(up, limit)
    return (high + (low.as_signed() if limit.shape().signed else low))[-1]

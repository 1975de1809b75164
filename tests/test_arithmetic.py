"""The datapath's functions against Python's integers, exhaustively on small widths."""

from itertools import pairwise

import pytest
from amaranth.hdl import Const, Module, Signal, signed, unsigned
from amaranth.sim import Simulator

from hdl.arithmetic import csd, exceeds, integer, saturate, scaled_sum, times


def tabulate(expressions, inputs, rows):
    """Values of the expressions, lists in the order of `rows` (values for `inputs`)."""
    m = Module()
    outputs = []
    for expression in expressions:
        # As wide as the expression says it is: a width too small shows.
        output = Signal(expression.shape())
        m.d.comb += output.eq(expression)
        outputs.append(output)
    table = [[] for _ in outputs]

    async def testbench(ctx):
        for row in rows:
            for signal, value in zip(inputs, row, strict=True):
                ctx.set(signal, value)
            for column, output in zip(table, outputs, strict=True):
                column.append(ctx.get(output))

    sim = Simulator(m)
    sim.add_testbench(testbench)
    sim.run()
    return table


def span(shape):
    half = 1 << (shape.width - 1) if shape.width else 1
    return range(-half, half) if shape.signed else range(1 << shape.width)


def clip(x, bits):
    return min(max(x, -(1 << (bits - 1))), (1 << (bits - 1)) - 1)


def test_integer_is_signed_or_nothing():
    assert integer(5) == signed(5)
    assert integer(0) == unsigned(0)


def test_signed_digits_are_few_and_never_adjacent():
    for number in range(5000):
        digits = csd(number)
        assert sum(sign << power if sign > 0 else -(1 << power) for sign, power in digits) == number
        powers = [power for _, power in digits]
        assert all(b - a >= 2 for a, b in pairwise(powers)), number
        assert len(digits) <= number.bit_count()


@pytest.mark.parametrize("shape", [signed(8), unsigned(5), signed(1)], ids=repr)
def test_times_is_a_product(shape):
    value = Signal(shape)
    factors = [*range(301), 4095, 4096, 65535, 65536]
    rows = [(x,) for x in span(shape)]
    table = tabulate([times(value, f) for f in factors], [value], rows)
    for factor, column in zip(factors, table, strict=True):
        assert column == [x * factor for (x,) in rows], factor


def test_times_by_a_signal():
    value, factor = Signal(signed(4)), Signal(3)
    rows = [(x, f) for x in range(-8, 8) for f in range(8)]
    assert tabulate([times(value, factor)], [value, factor], rows) == [[x * f for x, f in rows]]


@pytest.mark.parametrize(
    "other", [signed(3), signed(1), unsigned(3), unsigned(0), signed(6)], ids=repr
)
@pytest.mark.parametrize("width", [1, 2, 4, 5])
def test_scaled_sum_rounds_half_up_and_adds(width, other):
    """Shifts below, at and above the value's width."""
    value, addend = Signal(signed(width)), Signal(other)
    shifts = range(width + 3)
    rows = [(x, y) for x in span(signed(width)) for y in span(other)]
    if other.width == 0:
        rows = [(x, 0) for x in span(signed(width))]
    table = tabulate([scaled_sum(value, b, addend) for b in shifts], [value, addend], rows)
    for bits, column in zip(shifts, table, strict=True):
        half = (1 << bits) >> 1
        assert column == [((x + half) >> bits) + y for x, y in rows], bits


@pytest.mark.parametrize("addend", [0, 1, -1, 5, -8, 100, -100])
def test_scaled_sum_with_a_constant(addend):
    value = Signal(signed(5))
    rows = [(x,) for x in range(-16, 16)]
    sums = [scaled_sum(value, bits, addend) for bits in range(7)]
    for bits, column in enumerate(tabulate(sums, [value], rows)):
        assert column == [((x + ((1 << bits) >> 1)) >> bits) + addend for (x,) in rows], bits


@pytest.mark.parametrize("width", [1, 2, 5, 8])
def test_saturate_clips(width):
    value = Signal(signed(width))
    rows = [(x,) for x in span(signed(width))]
    widths = range(1, width + 3)
    for bits, column in zip(
        widths, tabulate([saturate(value, b) for b in widths], [value], rows), strict=True
    ):
        assert column == [clip(x, bits) for (x,) in rows], bits


def test_saturate_gives_no_more_bits_than_asked():
    assert saturate(Signal(signed(9)), 4).shape() == signed(4)
    assert saturate(Const(-3, signed(3)), 4).shape() == signed(3)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("limit", [signed(3), signed(6), unsigned(2)], ids=repr)
def test_exceeds_is_a_comparison_of_magnitudes(bits, limit):
    value, bound = Signal(signed(bits)), Signal(limit)
    limits = range(-9, 10)
    rows = [(v, b) for v in span(signed(bits)) for b in span(limit)]
    found, *fixed = tabulate(
        [exceeds(value, bound), *(exceeds(value, n) for n in limits)], (value, bound), rows
    )
    assert found == [abs(v) > b for v, b in rows]
    for n, column in zip(limits, fixed, strict=True):
        assert column == [abs(v) > n for v, _ in rows], n

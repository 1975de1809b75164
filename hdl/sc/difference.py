"""The saturating up and down counter that several units have inside."""

from amaranth.hdl import Mux, Signal

__all__ = ["count_difference", "difference"]


def difference(limit: int) -> Signal:
    """A register for -limit .. limit."""
    return Signal(range(-limit, limit + 1), name="difference")


def count_difference(m, unit, up, down) -> None:
    """Makes `unit.count` the ones of `up` less those of `down` in the enabled cycles so far.

    It stays within the limit of the unit's parameters.
    """
    count, limit = unit.count, unit.params.limit
    with m.If(unit.clear):
        m.d.sync += count.eq(0)
    with m.Elif(unit.en & (up ^ down) & (count != Mux(up, limit, -limit))):
        m.d.sync += count.eq(count + Mux(up, 1, -1))

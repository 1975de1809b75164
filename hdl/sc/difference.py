"""The saturating up and down counter that several units have inside."""

from amaranth.hdl import Signal

__all__ = ["difference"]


def difference(m, unit, up, down, limit: int) -> Signal:
    """Ones of `up` less ones of `down` in the enabled cycles of `unit` before this one.

    It stays within -limit .. limit.
    """
    count = Signal(range(-limit, limit + 1), name="difference")
    with m.If(unit.clear):
        m.d.sync += count.eq(0)
    with m.Elif(unit.en):
        with m.If(up & ~down & (count != limit)):
            m.d.sync += count.eq(count + 1)
        with m.Elif(down & ~up & (count != -limit)):
            m.d.sync += count.eq(count - 1)
    return count

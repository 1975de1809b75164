"""Counting and comparing a few bits without carry chains, for small state machines."""

from amaranth.hdl import Cat, Const

__all__ = ["below", "step"]


def step(value, up):
    """value + 1 if `up` else value - 1, modulo 2**len(value).

    Bit k changes if all bits below it are `up`. For a few bits that is less logic than an adder,
    which synthesis would put on a carry chain.
    """
    lower = value ^ up.replicate(len(value))
    return value ^ Cat(~lower[:k].any() for k in range(len(value)))


def below(value, limit: int):
    """value < limit for an unsigned value and a constant."""
    if limit >= 1 << len(value):
        return Const(1, 1)
    less = Const(0, 1)
    for k in range(len(value)):
        less = ~value[k] | less if (limit >> k) & 1 else ~value[k] & less
    return less

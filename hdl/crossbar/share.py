"""Who drives the port of an array."""

from amaranth.hdl import Mux, Signal

from hdl.crossbar.product import READING
from hdl.crossbar.programmer import PROGRAMMING

__all__ = ["share_array"]


def share_array(m, array, programmer, product, programs):
    """Connects an array to the ports of a Programmer, while `programs`, and of a Product."""
    for name in sorted({*READING, *PROGRAMMING} - {"drive"}):
        line = getattr(array, name)
        mine, other = (
            getattr(port, name) if name in names else None
            for port, names in ((programmer, PROGRAMMING), (product, READING))
        )
        if name in ("ready", "code"):
            m.d.comb += [mine.eq(line), other.eq(line)]
        elif other is None:
            m.d.comb += line.eq(mine)
        else:
            m.d.comb += line.eq(Mux(programs, 0 if mine is None else mine, other))
    # A row alone, decoded in two parts.
    row_bits = len(array.row)
    low = Signal(1 << (row_bits + 1) // 2)
    high = Signal(1 << row_bits // 2)
    m.d.sync += [
        low.eq(1 << array.row[: (row_bits + 1) // 2]),
        high.eq(1 << array.row[(row_bits + 1) // 2 :]),
    ]
    for r in range(len(array.drive)):
        alone = low[r % len(low)] & high[r // len(low)]
        m.d.comb += array.drive[r].eq(Mux(programs, alone, product.drive[r]))

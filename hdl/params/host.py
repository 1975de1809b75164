"""The host port: words in, words out.

A word from the host, lowest bits first: body (`flit_bits`), op (1 bit).
    SEND  body = a flit, put into the network.
    STEP  body = level mask (`levels` bits), then 1 bit "clear". Waits until the network and all
          cores are at rest, answers with a MARK, then starts the update of the levels in the
          mask (or clears all state).
A word to the host: body (`flit_bits`), op (1 bit).
    RECV  body = a flit: an output event (tag = output number) or a configuration reply.
    MARK  body = cycles since the previous STEP began, up to 24 bits of them (then it stays). All
          that the previous STEP caused stands before it.
"""

from dataclasses import dataclass
from enum import IntEnum

from hdl.params.noc import FlitParams

__all__ = ["HostOp", "HostParams", "ReplyOp"]


class HostOp(IntEnum):
    SEND = 0
    STEP = 1


class ReplyOp(IntEnum):
    RECV = 0
    MARK = 1


@dataclass(frozen=True, kw_only=True)
class HostParams:
    """The host port of a fabric."""

    flit: FlitParams
    levels: int

    @property
    def body_bits(self) -> int:
        return max(self.flit.flit_bits, self.levels + 1)

    @property
    def word_bits(self) -> int:
        return self.body_bits + 1

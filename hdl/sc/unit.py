"""The signature of a stochastic-computing unit, from its parameters."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.params.sc.unit import Port, UnitParams

__all__ = ["port_shape", "unit_signature"]


def port_shape(port: Port):
    """The shape of a port."""
    return signed(port.bits) if port.signed else unsigned(port.bits)


def unit_signature(params: UnitParams) -> wiring.Signature:
    """`en` and `clear` for a unit with state, then the ports of its parameters."""
    members = {"en": In(1), "clear": In(1)} if params.sequential else {}
    flow = {"in": In, "out": Out}
    for port in params.ports:
        members[port.name] = flow[port.direction](port_shape(port))
    return wiring.Signature(members)

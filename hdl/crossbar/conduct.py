"""What a device conducts at its age."""

from amaranth.hdl import Module, Mux, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import scaled_sum
from hdl.crossbar.pipeline import held
from hdl.crossbar.ports import array_config
from hdl.memory import configure, table
from hdl.params.crossbar.array import ArrayMemory, ArrayParams
from hdl.params.crossbar.device import (
    FADE,
    LOG_AGE_BITS,
    NU_BITS,
    READ_BITS,
    SIGMA_BITS,
    TIME_BITS,
)
from hdl.params.crossbar.noise import DRAW_BITS
from hdl.sc.rom import rom

__all__ = ["CONDUCT_LATENCY", "DRAW_DELAY", "Conduct", "clip"]

#: Cycles from a device to its h and s, and to when its draw is taken.
CONDUCT_LATENCY, DRAW_DELAY = 14, 2


def clip(value, bits: int):
    """A signed `value` clipped to 0..2**bits - 1."""
    return Mux(value[-1], 0, Mux(value[bits:].any(), (1 << bits) - 1, value[:bits]))


class Conduct(wiring.Component):
    """h and s of a device a cycle (equations: hdl/params/crossbar/device.py).

    Parameters
    ----------
    params : the array.
    ages : initial contents of AGE.

    Members
    -------
    config : writes AGE.
    g_p, nu, epoch : the device.
    z : its draw, DRAW_DELAY cycles later.
    h, s : CONDUCT_LATENCY cycles later.
    """

    def __init__(self, params: ArrayParams, ages: list[int]):
        self.params, self.ages = params, ages
        super().__init__(
            {
                "config": In(array_config(params)),
                "g_p": In(params.cell_bits),
                "nu": In(NU_BITS),
                "epoch": In(params.epoch_bits),
                "z": In(signed(DRAW_BITS)),
                "h": Out(params.cell_bits),
                "s": Out(SIGMA_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, bits = self.params, self.params.cell_bits
        read, write = table(
            m, "age", depth=p.epochs, bits=LOG_AGE_BITS, parts=4, init=self.ages, domain="comb"
        )
        configure(m, write, self.config, ArrayMemory.AGE, parts=4)
        m.d.comb += read.addr.eq(self.epoch)
        log_age = held(m, "log_age", read.data[0])
        fresh = held(m, "fresh", read.data[1][:TIME_BITS], 2)
        slow = held(m, "slow", read.data[2][:TIME_BITS], 2)
        relative = rom(m, "relative", self.g_p[bits - 7 :], 1, p.device.read_noise, READ_BITS)

        # The drift: a power of 2, its fraction from a table, its integer a shift.
        exponent = held(m, "exponent", held(m, "nu", self.nu) * log_age)[10:]
        factor = held(m, "factor", rom(m, "fade", exponent[:8], 1, FADE, 13))
        product = held(m, "faded", held(m, "g_p", self.g_p, 5) * factor)
        shifted = held(m, "shifted", product[11:] >> held(m, "shift", exponent[8:], 4))
        g = held(m, "g", ((shifted + 1) >> 1)[:bits])

        def sigma(name, time):
            share = held(m, f"{name}_product", relative * time)
            share = held(m, f"{name}_share", (share + (1 << 8)) >> 9)
            part = held(m, f"{name}_part", g * held(m, f"{name}_now", share, 4))
            part = held(m, f"{name}_sum", (part + (1 << bits - 2)) >> bits - 1)
            most = (1 << SIGMA_BITS) - 1
            return held(m, name, Mux(part > most, most, part[:SIGMA_BITS]))

        draw = held(m, "draw", self.z, 9)
        noise = held(m, "noise", sigma("sigma_slow", slow) * draw)
        level = held(m, "level", g, 4)
        noisy = held(m, "noisy", scaled_sum(noise, p.device.noise_shift, level))
        m.d.comb += [
            self.h.eq(held(m, "h", clip(noisy, bits))),
            self.s.eq(held(m, "s", sigma("sigma_fresh", fresh), 3)),
        ]
        return m

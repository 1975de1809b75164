"""What a pulse makes of a device."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import scaled_sum
from hdl.crossbar.conduct import clip
from hdl.crossbar.pipeline import held
from hdl.params.crossbar.array import Pulse
from hdl.params.crossbar.device import NOISE_BITS, NU_BITS, DeviceParams
from hdl.params.crossbar.noise import DRAW_BITS
from hdl.sc.rom import rom

__all__ = ["Programming"]


class Programming(wiring.Component):
    """A device's new g_p and nu (equations: hdl/params/crossbar/device.py).

    One multiplier serves both: in the first phase it makes the noise of g_p, in the second one
    that of nu. Everything else stays as it is meanwhile.

    Parameters
    ----------
    params : the device.

    Members
    -------
    kind, level, g : the pulse, and the device's g_p before it; held through both phases.
    z : the first draw, the second draw.
    second : level, second phase. g_p keeps what it was in the first phase's last cycle.
    g_p : right 6 cycles after kind, level and g, 3 cycles after z.
    nu : 6 cycles after g_p, 3 cycles after z.
    """

    def __init__(self, params: DeviceParams):
        self.params = params
        super().__init__(
            {
                "kind": In(2),
                "level": In(params.cell_bits),
                "g": In(params.cell_bits),
                "z": In(signed(DRAW_BITS)),
                "second": In(1),
                "g_p": Out(params.cell_bits),
                "nu": Out(NU_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, bits = self.params, self.params.cell_bits
        reset = self.kind == Pulse.RESET
        writes = p.kind == "write"
        if writes:
            word = rom(m, "write", self.level[bits - 7 :], 1, p.write_noise, NOISE_BITS)
            amount, base = word, self.level
        else:
            words = [
                amount | (step & (2 << bits) - 1) << NOISE_BITS
                for amount, step in zip(p.set_noise, p.set_step, strict=True)
            ]
            word = rom(m, "set", self.g[bits - 7 :], 1, words, NOISE_BITS + bits + 1)
            amount = word[:NOISE_BITS]
            base = held(m, "stepped", self.g + word[NOISE_BITS:].as_signed())
        amount = Mux(reset, p.reset_noise, amount)
        base = Mux(reset, p.reset_level, base)

        fresh = Signal(bits, reset_less=True)
        m.d.comb += self.g_p.eq(fresh)
        index = Mux(reset | (not writes), fresh[bits - 7 :], self.level[bits - 7 :])
        words = [
            sigma | mean << NOISE_BITS
            for sigma, mean in zip(p.drift_sigma, p.drift_mean, strict=True)
        ]
        drift = rom(m, "drift", index, 1, words, NOISE_BITS + NU_BITS)

        width = held(m, "width", Mux(self.second, drift[:NOISE_BITS], amount))
        product = held(m, "product", self.z * width)
        level = held(m, "changed", scaled_sum(product, p.noise_shift, base))
        with m.If(~self.second):
            m.d.sync += fresh.eq(clip(level, bits))
        nu = held(m, "exponent", scaled_sum(product, 10, drift[NOISE_BITS:]))
        size = Mux(nu[-1], -nu, nu)
        most = (1 << NU_BITS) - 1
        m.d.sync += self.nu.eq(Mux(size > most, most, size))
        return m

"""From the cycle of a stream to the bit planes that its number selects."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.params.sc.dense import DenseParams
from hdl.params.sc.lfsr import TAPS, seed_of
from hdl.params.sc.sobol import directions

__all__ = ["DensePlanes"]


def leading(m, bits, width: int, name: str):
    """The plane of a magnitude of `width` bits for a number with these bits, highest first.

    With h zeros in front: width - 1 - h, or `width` if h >= width.
    """
    plane = Signal(range(width + 1), name=name)
    at = [width - 1 - h if h < width else width for h in range(len(bits) + 1)]
    m.d.comb += plane.eq(at[-1])
    for h in reversed(range(len(bits))):
        with m.If(bits[h]):
            m.d.comb += plane.eq(at[h])
    return plane


class DensePlanes(wiring.Component):
    """Number generators of stochastic dendrites, and the planes that they select.

    Latency 2 cycles.

    Parameters
    ----------
    params : the dendrites.

    Members
    -------
    t : cycle of the stream ("sobol").
    en : level, this is a cycle of the stream ("lfsr": the next number).
    begin : pulse, the stream starts anew.
    keep : pulse, with `en`: the number behind this cycle is the one that `back` goes to.
    back : pulse, with `en`: go back there, or to the start.
    sign : level, the sign plane instead.
    weight, value : the planes for each generator, 2 cycles later.
    """

    def __init__(self, params: DenseParams):
        self.params = params
        s = params.streams
        super().__init__(
            {
                "t": In(s.source_bits),
                "en": In(1),
                "begin": In(1),
                "keep": In(1),
                "back": In(1),
                "sign": In(1),
                "weight": Out(range(params.planes)).array(s.generators),
                "value": Out(range(params.value_planes)).array(s.generators),
            }
        )

    def elaborate(self, platform):
        m = Module()
        s = self.params.streams
        for g in range(s.generators):
            for kind, planes, width, out in (
                (0, self.params.planes, s.weight_bits, self.weight[g]),
                (1, self.params.value_planes, s.value_bits, self.value[g]),
            ):
                if kind == 1 and not s.value_bits:
                    continue
                name = f"{'weight' if kind == 0 else 'value'}_{g}"
                if s.generator == "lfsr":
                    number = self._lfsr(m, seed_of(s.seed, 2 * g + kind, s.source_bits), name)
                    bits = list(reversed(number))
                else:
                    bits = self._sobol(m, kind, g)
                held = Signal(s.source_bits, name=f"{name}_number")
                sign = Signal(name=f"{name}_sign")
                m.d.sync += [
                    held.eq(Cat(bits)),
                    sign.eq(self.sign),
                    out.eq(Mux(sign, planes - 1, leading(m, held, width, f"{name}_plane"))),
                ]
        return m

    def _sobol(self, m, kind: int, g: int) -> list:
        """The number of cycle `t`, highest bit first. Both dimensions are linear in t."""
        bits = self.params.streams.source_bits
        columns = directions(bits, kind + 1)
        number = []
        for i in reversed(range(bits)):
            rows = [k for k in range(bits) if columns[k] >> i & 1]
            shift = sum(g >> k & 1 for k in rows) & 1
            number.append(~(Cat(self.t[k] for k in rows).xor() ^ shift))
        return number

    def _lfsr(self, m, seed: int, name: str):
        """The number of this cycle."""
        taps = TAPS[self.params.streams.source_bits]
        state = Signal(taps[0], init=seed, name=f"{name}_state")
        kept = Signal(taps[0], init=seed, name=f"{name}_kept")
        following = Cat(Cat(state[tap - 1] for tap in taps).xor(), state[:-1])
        with m.If(self.begin):
            m.d.sync += [state.eq(seed), kept.eq(seed)]
        with m.Elif(self.en):
            m.d.sync += state.eq(Mux(self.back, kept, following))
            with m.If(self.keep):
                m.d.sync += kept.eq(following)
        return state

"""The Gibbs sampler."""

from itertools import product

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring

from hdl.params.neuron import bits_for
from hdl.params.sc.gibbs import GibbsSamplerParams
from hdl.sc.lfsr import Lfsr
from hdl.sc.pbit import table_index
from hdl.sc.rom import rom, rom_now
from hdl.sc.unit import unit_signature

__all__ = ["GibbsSampler"]


class GibbsSampler(wiring.Component):
    """One spin a cycle, in order, from all others (equation: hdl/params/sc/gibbs.py).

    A spin needs the value of the one before it, which is decided in the cycle before. So spins
    enter its field in the order of their age, which is 1 for the spin before. `last` is the
    decision of the cycle before; a cycle works on spins i + 6 to i in these stages:

        i + 6, 5  row of couplings, from a table
        i + 4     sums over the spins of age 5 and more, in groups
        i + 3     `base`: the sum of these, and age 4, which is `last`
        i + 2     age 3 is `last`: currents for all 4 cases of ages 2 and 1
        i + 1     age 2 is `last`: words of the table of odds for both cases of age 1
        i         age 1 is `last`: the decision

    Parameters
    ----------
    params : couplings, fields, table, generator.

    Members
    -------
    beta : inverse temperature in units of 2**-table.fraction; it counts 6 cycles later.
    spin : the spin that gets a new value at the end of this cycle, from cycle 6 on.
    state : all spins before that, 1 for +1.
    en, clear : next update; back to the initial state and the first draw.
    """

    def __init__(self, params: GibbsSamplerParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p, table, n = self.params, self.params.table, self.params.spins
        generator = m.submodules.generator = Lfsr(p.generator)
        m.d.comb += [generator.en.eq(self.en), generator.clear.eq(self.clear)]

        ask = Signal(p.index_bits)
        spin = Signal(p.index_bits, init=-p.latency % n)
        state = Signal(n, init=p.initial)
        last = Signal(reset_less=True)

        bits = p.field_bits
        words = [_packed(self._row(i), bits) for i in range(n)]
        row = _items(rom(m, "rows", ask, self.en, words, (n + 10) * bits), bits)
        couplings, rest = row[:n], Cat(row[n:])
        groups = self._groups(couplings, state)
        rest_1, rest_2 = (Signal.like(rest, name=f"rest_{k}", reset_less=True) for k in (1, 2))
        silent, age_4, *_ = _items(rest_1, bits)
        recent = _items(rest_2, bits)[2:]
        sums = [Signal(signed(bits), name=f"sum_{k}", reset_less=True) for k in range(len(groups))]
        base = Signal(signed(bits), reset_less=True)
        wide = signed(bits + p.beta_bits)
        betas = Signal(4 * p.beta_bits, reset_less=True)
        beta = betas[-p.beta_bits :]
        four = [Signal(wide, name=f"current_{k}", reset_less=True) for k in range(4)]
        two = [Signal(table.random_bits + 1, name=f"odds_{k}", reset_less=True) for k in range(2)]
        chosen = Mux(last, two[1], two[0])
        against = (generator.value[: table.random_bits] + chosen[1:])[-1]
        # Until the pipeline is full, the spins before the first are "decided" as they are.
        filling = Signal(p.latency, init=(1 << p.latency) - 1)
        ages = range(p.latency, 0, -1)
        past = Signal(p.latency, init=_packed([p.initial >> (-age % n) & 1 for age in ages], 1))
        decision = Mux(filling[0], past[0], ~(chosen[0] ^ against))
        with m.If(self.en):
            m.d.sync += [
                ask.eq(Mux(ask == n - 1, 0, ask + 1)),
                spin.eq(Mux(spin == n - 1, 0, spin + 1)),
                filling.eq(filling >> 1),
                past.eq(past >> 1),
                last.eq(decision),
                *(register.eq(group) for register, group in zip(sums, groups, strict=True)),
                betas.eq(Cat(self.beta, betas[: -p.beta_bits])),
                rest_1.eq(rest),
                rest_2.eq(rest_1),
                base.eq((_total([*sums, Mux(last, age_4, 0)]) << 1) + silent),
                *(
                    four[k].eq(_product(base + Mux(last, recent[4 + k], recent[k]), beta))
                    for k in range(4)
                ),
                *(
                    two[k].eq(self._odds(m, f"odds_{k}", Mux(last, four[2 + k], four[k])))
                    for k in range(2)
                ),
            ]
            with m.If(~filling[0]):
                m.d.sync += state.bit_select(spin, 1).eq(decision)
        with m.If(self.clear):
            m.d.sync += [s.eq(s.init) for s in (ask, spin, state, filling, past)]
        m.d.comb += [self.spin.eq(spin), self.state.eq(state)]
        return m

    def _row(self, i: int) -> list[int]:
        """The numbers for spin i: the couplings to spins of age 5 and more; its field with these
        and age 4 at -1 and without the recent ones; the coupling to age 4; and what ages 3, 2, 1
        add together: (-, -, -), (-, -, +), ... (+, +, +)."""
        p, n = self.params, self.params.spins
        row = p.couplings[i]
        by_age = [0, *(row[(i - age) % n] if age < n else 0 for age in range(1, 5))]
        recent = {(i - age) % n for age in range(1, 5)}
        older = [0 if j in recent else coupling for j, coupling in enumerate(row)]
        added = [
            sum(sign * by_age[age] for sign, age in zip(signs, (3, 2, 1), strict=True))
            for signs in product((-1, 1), repeat=3)
        ]
        return [*older, p.biases[i] - sum(older) - by_age[4], by_age[4], *added]

    def _groups(self, couplings, state):
        """Sums of the couplings to spins that are +1, about the root of n of them in each."""
        terms = [Mux(s, c, 0) for c, s in zip(couplings, state, strict=True)]
        size = 1 << (bits_for(len(terms)) // 2)
        return [_total(terms[k : k + size]) for k in range(0, len(terms), size)]

    def _odds(self, m, name, current):
        """(negative, word of the table) of a current."""
        table = self.params.table
        address, beyond = table_index(current.as_signed(), table)
        word = rom_now(m, name, address, table.words, table.random_bits)
        return Cat(current[-1], Mux(beyond, 0, word))


def _packed(numbers, bits: int) -> int:
    """Numbers of `bits` bits, two's complement, as one word, the first lowest."""
    return sum((number & ((1 << bits) - 1)) << (bits * k) for k, number in enumerate(numbers))


def _items(word, bits: int):
    """The signed numbers of such a word."""
    return [word[k : k + bits].as_signed() for k in range(0, len(word), bits)]


def _product(field, beta):
    """field * beta; no multiplier block for one bit."""
    return field * beta if len(beta) > 1 else Mux(beta, field, 0)


def _total(terms):
    """A balanced tree of adders."""
    while len(terms) > 1:
        terms = [sum(terms[k + 1 : k + 2], terms[k]) for k in range(0, len(terms), 2)]
    return terms[0]

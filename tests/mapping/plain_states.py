"""States and gates in plain Python, from a core's memories, word for word the docstrings of
hdl/params/ssm/diagonal.py and gate.py."""

from hdl.params.noc import Memory
from hdl.params.sc.lfsr import LfsrParams, successor
from hdl.params.ssm.diagonal import DiagonalParams
from hdl.params.ssm.gate import GateParams

__all__ = ["PlainGates", "PlainStates"]


def parts_of(word: int, *widths: int) -> list[int]:
    """The signed parts of a word, lowest first; nothing is left above them."""
    parts = []
    for width in widths:
        part, word = word & ((1 << width) - 1), word >> width
        parts.append(part - (1 << width) if part >> (width - 1) else part)
    assert word == 0
    return parts


def clip(value: int, bits: int) -> int:
    top = 1 << (bits - 1)
    return min(max(value, -top), top - 1)


class PlainStates:
    """The states of a core."""

    def __init__(self, params: DiagonalParams, images: dict, slots: int) -> None:
        self.p, self.d, self.images, self.slots = params, params.diagonal, images, slots
        self.clear()

    def clear(self) -> None:
        items = self.p.state_words(self.slots) * self.p.lanes
        self.states = [[0, 0] for _ in range(items)]
        self.draws = list(self.p.draws) or [0] * items
        self.u = [0] * self.slots
        self.heard: set[int] = set()

    def take(self, axon: int, value: int) -> None:
        word = self.images[Memory.POINTER][axon]
        bits = (self.slots - 1).bit_length()
        slot, valid = word & ((1 << bits) - 1), word >> bits
        assert valid in (0, 1)
        if valid:
            assert axon not in self.heard
            self.heard.add(axon)
            self.u[slot] = value + (self.u[slot] if self.d.held else 0)

    def coefficients(self, item: int) -> list[int]:
        """ar, ai, gain, cr, ci of an item."""
        d = self.d
        parts = 1 if d.real else 2
        widths = [d.pole_bits + 1] * parts + [4] + [d.mix_bits] * parts * d.mixed
        word = self.images[Memory.SYNAPSE][item]
        low = parts * (d.pole_bits + 1) + 3  # the gain is not signed: one bit more
        word = word & ((1 << low) - 1) | word >> low << (low + 1)
        found = parts_of(word, *widths)
        pole, gain, mix = found[:parts], found[parts], found[parts + 1 :]
        return [pole[0], 0 if d.real else pole[1], gain, *mix, *[0] * (2 - len(mix))]

    def advance(self, item: int, p: int, q: int) -> tuple[int, int]:
        """State and its share of the sum."""
        d = self.d
        ar, ai, gain, cr, ci = self.coefficients(item)
        re, im = self.states[item]
        bits, e = d.pole_bits, d.drive_shift + gain
        half = other = 1 << (bits - 1)
        if d.stochastic:
            w = self.draws[item]
            half, other = ((w & 0xFFFF) << bits) >> 16, ((w >> 16) << bits) >> 16
            self.draws[item] = successor(LfsrParams(width=32, steps=32), w) if w else 0
        self.states[item] = [
            clip((ar * re - ai * im + (p << e) + half) >> bits, d.state_bits),
            0 if d.real else clip((ar * im + ai * re + (q << e) + other) >> bits, d.state_bits),
        ]
        re, im = self.states[item]
        return cr * re - ci * im

    def sums(self) -> list[int]:
        """acc of every slot."""
        d, width = self.d, self.p.words * self.p.lanes
        acc = []
        if d.mixed:
            for slot, u in enumerate(self.u):
                items = range(slot * width, (slot + 1) * width)
                total = sum(self.advance(item, u, 0) for item in items)
                assert all(set(self.coefficients(item)) == {0} for item in items[d.order :])
                acc.append((total + ((1 << d.mix_shift) >> 1)) >> d.mix_shift)
        elif d.real:
            for item, u in enumerate(self.u):
                self.advance(item, u, 0)
                acc.append(self.states[item][0])
        else:
            for item in range(self.slots // 2):
                self.advance(item, *self.u[2 * item : 2 * item + 2])
                acc += self.states[item]
        if not d.held:
            self.u = [0] * self.slots
        self.heard = set()
        return acc

    def item(self, number: int) -> tuple[list[int], list[int]]:
        """Parts and widths of an item of Memory.STATE behind the slots."""
        if number >= len(self.states):
            return [self.u[number - len(self.states)]], [self.d.value_bits]
        parts = 1 if self.d.real else 2
        values, widths = self.states[number][:parts], [self.d.state_bits] * parts
        if self.d.stochastic:
            return [*values, self.draws[number]], [*widths, 32]
        return values, widths

    def restore(self, number: int, word: int) -> None:
        found = parts_of(word, *self.item(number)[1])
        if number >= len(self.states):
            self.u[number - len(self.states)] = found[0]
            return
        if self.d.stochastic:
            self.draws[number] = found.pop() & 0xFFFFFFFF
        self.states[number] = [*found, 0][:2]


class PlainGates:
    """The products of a core."""

    def __init__(self, params: GateParams, images: dict, slots: int) -> None:
        self.gate, self.images, self.slots = params.gate, images, slots
        self.clear()

    def clear(self) -> None:
        self.u = [[0, 0] for _ in range(self.slots)]
        self.heard: set[tuple[int, int]] = set()

    def take(self, axon: int, value: int) -> None:
        word = self.images[Memory.POINTER][axon]
        bits = (self.slots - 1).bit_length()
        slot, ports = word & ((1 << bits) - 1), word >> bits
        assert ports < 4
        for port in range(2):
            if ports >> port & 1:
                assert (axon, port) not in self.heard
                self.heard.add((axon, port))
                if self.gate.stretch > 1 or self.gate.repeats:
                    assert ports < 3
                self.u[slot][port] = value + (self.u[slot][port] if self.gate.held else 0)

    def sums(self) -> list[int]:
        g, shift = self.gate, self.gate.shift
        pairs = [
            (self.u[n % g.stretch if g.repeats else n][0], self.u[n // g.stretch][1])
            for n in range(self.slots)
        ]
        acc = [(left * right + ((1 << shift) >> 1)) >> shift for left, right in pairs]
        if not self.gate.held:
            self.u = [[0, 0] for _ in range(self.slots)]
        self.heard = set()
        return acc

    def item(self, number: int) -> tuple[list[int], list[int]]:
        """Parts and widths of an item of Memory.STATE behind the slots."""
        return self.u[number], [self.gate.value_bits] * 2

    def restore(self, number: int, word: int) -> None:
        self.u[number] = parts_of(word, *self.item(number)[1])

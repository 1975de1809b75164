"""An array and its controller in plain Python integers, word for word the docstrings of
hdl/params/crossbar/{noise,device,array,dendrites,controller}.py: slow, for small arrays."""

from __future__ import annotations

from itertools import product

from hdl.params.crossbar.controller import ControllerParams
from hdl.params.crossbar.device import FADE, Age
from hdl.params.crossbar.noise import state_of
from hdl.params.sc.lfsr import seed_of

MASK = (1 << 64) - 1
RESET, SET, WRITE = 0, 1, 2
MVM, VERIFY, COUNT = 0, 1, 2
DONE, FAILED, ERROR = 0, 1, 2


def rotl(x: int, k: int) -> int:
    k %= 64
    return ((x << k) | (x >> (64 - k))) & MASK


def row_of_draws(state: list[int], columns: int) -> list[int]:
    """z of all columns; the state advances."""
    s0, s1 = state
    words = []
    for k in range(columns + 8):
        a, b, c = (seed_of(4200, k, 64) >> shift & 63 for shift in (0, 6, 12))
        words.append(rotl(s0, a) ^ rotl(s1, b) ^ rotl(s0, c))
    drawn = []
    for c in range(columns):
        u = [words[4 * (c // 8) + i] >> (8 * (c % 8)) & 255 for i in range(4)]
        drawn.append(u[0] - u[1] + u[2] - u[3])
    t = s0 ^ s1
    state[:] = [rotl(s0, 24) ^ t ^ ((t << 16) & MASK), rotl(t, 37)]
    return drawn


class PlainArray:
    """Devices are lists [g_p, nu, epoch, stuck, h, s] by (bank, row, column)."""

    def __init__(self, p: ControllerParams, ages: list[Age]) -> None:
        self.p, self.ages = p.array, ages
        self.cells = {
            at: [0, 0, 0, 0, 0, 0]
            for at in product(range(self.p.banks), range(self.p.rows), range(self.p.columns))
        }
        self.reference = [[0] * self.p.columns for _ in range(self.p.banks)]
        self.restart()

    def restart(self) -> None:
        a = self.p
        self.states = [list(state_of(a.seed, a.first_entity + b)) for b in range(a.blocks)]

    def clip(self, g: int) -> int:
        return min(max(g, 0), (1 << self.p.cell_bits) - 1)

    def noise(self, s: int, z: int) -> int:
        f = 20 - self.p.cell_bits
        return (s * z + (1 << (f - 1))) >> f

    def entry(self, g: int) -> int:
        return g >> (self.p.cell_bits - 7)

    def settle(self, cell: list[int], z: int) -> None:
        """h and s of a device, from g_p, nu, its epoch's age and a draw."""
        age, bits = self.ages[cell[2]], self.p.cell_bits
        e = (cell[1] * age.log_age) >> 10
        g = (cell[0] * FADE[e & 255] + (1 << (11 + (e >> 8)))) >> (12 + (e >> 8))
        read = self.p.device.read_noise[self.entry(cell[0])]

        def sigma(w: int) -> int:
            return min((g * ((read * w + 256) >> 9) + (1 << (bits - 2))) >> (bits - 1), 255)

        cell[4:] = [self.clip(g + self.noise(sigma(age.slow), z)), sigma(age.fresh)]

    def age(self) -> None:
        self.restart()
        for block in range(self.p.blocks):
            state = self.states[block][::-1]
            for tile in range(self.p.tiles):
                for row in range(self.p.rows):
                    z = row_of_draws(state, self.p.columns)
                    for c in range(self.p.columns):
                        self.settle(self.cells[block * self.p.tiles + tile, row, c], z[c])

    def draws(self, bank: int) -> list[int]:
        return row_of_draws(self.states[bank // self.p.tiles], self.p.columns)

    def pulse(self, bank: int, row: int, c: int, kind: int, level: int, epoch: int) -> None:
        z1, z2, z3 = (self.draws(bank)[c] for _ in range(3))
        cell, d = self.cells[bank, row, c], self.p.device
        if cell[3]:
            return
        if kind == WRITE:
            cell[0] = self.clip(level + self.noise(d.write_noise[self.entry(level)], z1))
        elif kind == SET:
            x = self.entry(cell[0])
            cell[0] = self.clip(cell[0] + d.set_step[x] + self.noise(d.set_noise[x], z1))
        else:
            cell[0] = self.clip(d.reset_level + self.noise(d.reset_noise, z1))
        x = self.entry(level if kind == WRITE else cell[0])
        cell[1] = min(abs(d.drift_mean[x] + ((d.drift_sigma[x] * z2 + 512) >> 10)), 511)
        cell[2] = epoch
        self.settle(cell, z3)

    def read(self, bank: int, rows: list[int], *, hold: bool = False, sense: bool = False) -> None:
        if not hold:
            self.charge = [0] * self.p.columns
        for r in sorted(rows):
            z = self.draws(bank)
            for c in range(self.p.columns):
                h, s = self.cells[bank, r, c][4:]
                v = max(0, h + self.noise(s, z[c]))
                self.charge[c] += (v > self.reference[bank][c]) if sense else v

    def code(self, c: int, kind: int) -> int:
        if kind == COUNT:
            return self.charge[c]
        a = c % self.p.converters
        gain, offset = self.p.gains[kind][a], self.p.offsets[kind][a]
        scaled = (self.charge[c] * gain + offset + (1 << 15)) >> 16
        return min(max(scaled, 0), (1 << self.p.adc_bits) - 1)


class PlainController:
    """Commands as methods: (status, value), or a list of them."""

    def __init__(self, p: ControllerParams, ages: list[Age]) -> None:
        self.p, self.x, self.array = p, p.crossbar, PlainArray(p, ages)
        a = p.array
        self.target: dict[tuple[int, int, int, int], int] = {}
        self.factor = {
            at: p.unit for at in product(range(a.blocks), range(a.tiles), range(self.x.neurons))
        }
        self.kept = dict.fromkeys(self.factor, 0)
        self.map = [list(range(p.places)) for _ in range(a.blocks)]
        self.moved, self.failed = [0] * a.blocks, [0] * a.blocks
        self.wear = {at: 0 for at in product(range(a.banks), range(a.columns))}
        self.counter = 0
        self.input = [0] * a.rows

    def measure(self, bank: int, row: int, column: int) -> int:
        a, total = self.p.array, 0
        for _ in range(1 << self.p.averages):
            self.array.read(bank, [row])
            total += self.array.code(column, VERIFY)
        return total << max(a.cell_bits - a.adc_bits, 0)

    def pulse(self, bank: int, row: int, column: int, kind: int, level: int, epoch: int) -> None:
        self.array.pulse(bank, row, column, kind, level, epoch)
        self.wear[bank, column] = min(self.wear[bank, column] + 1, (1 << 24) - 1)

    def program_device(self, bank: int, row: int, column: int, target: int, epoch: int):
        """(pulses, whether it failed)."""
        p, bits = self.p, self.p.averages
        pulses, level, wanted = 0, target, target << bits
        m = self.measure(bank, row, column)
        while abs(m - wanted) > p.tolerance << bits:
            if pulses == p.max_pulses:
                return pulses, True
            if p.array.device.kind == "write":
                if p.policy == "feedback" and pulses > 0:
                    level = self.array.clip(level - ((m - wanted) >> (bits + 1)))
                self.pulse(bank, row, column, WRITE, level, epoch)
            else:
                self.pulse(bank, row, column, SET if m < wanted else RESET, 0, epoch)
            pulses += 1
            m = self.measure(bank, row, column)
        return pulses, False

    def program(self, block: int, epoch: int = 0) -> tuple[int, int]:
        p, x, a = self.p, self.x, self.p.array
        pulses = failed = 0
        for q in range(p.places):
            n, i = divmod(q, x.width)
            while True:
                wrong = 0
                for t, r in product(range(a.tiles), range(a.rows)):
                    bank, target = block * a.tiles + t, self.target.get((block, q, t, r), 0)
                    if x.devices > 1 and i >= x.width - 2:
                        for other in range(n * x.width + i % 2, q, 2):
                            m = self.measure(bank, r, self.map[block][other])
                            half = 1 << (p.averages - 1) if p.averages else 0
                            made = (m + half) >> p.averages
                            target += self.target.get((block, other, t, r), 0) - made
                        target = self.array.clip(target)
                    found = self.program_device(bank, r, self.map[block][q], target, epoch)
                    pulses, wrong = pulses + found[0], wrong + found[1]
                spare = p.places + self.moved[block]
                if wrong <= p.fault_limit or spare >= a.columns:
                    break
                self.map[block][q] = spare
                self.moved[block] += 1
            failed += wrong
        self.failed[block] = failed
        return (FAILED if failed else DONE), min(pulses, (1 << 24) - 1)

    def update(
        self, block: int, tile: int, row: int, place: int, negative: int, epoch: int = 0
    ) -> tuple[int, int]:
        k = self.counter % self.x.devices
        column = self.map[block][place * self.x.width + 2 * k + negative]
        self.pulse(block * self.p.array.tiles + tile, row, column, SET, 0, epoch)
        self.counter += 1
        return DONE, k

    def difference(self, block: int, n: int, driven: int) -> int:
        kind = MVM if self.x.sampling == "none" else COUNT
        first = n * self.x.width
        code = [self.array.code(self.map[block][first + i], kind) for i in range(self.x.width)]
        if self.x.sampling == "binary":
            return 2 * code[0] - driven
        return sum(code[0::2]) - sum(code[1::2])

    def product(self, block: int, tile: int) -> list[tuple[int, int]]:
        x, p = self.x, self.x.value_bits
        bank, sense = block * self.p.array.tiles + tile, self.x.sampling != "none"
        acc = [0] * x.neurons

        def add(scale: int, driven: int) -> None:
            for n in range(x.neurons):
                d = self.difference(block, n, driven)
                acc[n] += scale * self.factor[block, tile, n] * d

        for sign in (1, -1) if p else (1,):
            value = [sign * v if sign * v > 0 else 0 for v in self.input]
            if x.input == "serial":
                for k in range(max(p, 1)):
                    rows = [r for r, v in enumerate(value) if v >> k & 1]
                    if rows:
                        self.array.read(bank, rows, sense=sense)
                        add(sign * 2**k, len(rows))
            else:
                driven = 0
                for u in range(max(2**p, 2) - 1):
                    rows = [r for r, v in enumerate(value) if v > u]
                    if not rows:
                        break
                    self.array.read(bank, rows, hold=u > 0, sense=sense)
                    driven += len(rows)
                if driven:
                    add(sign, driven)
        half = 1 << (x.fraction - 1)
        return [(DONE, (total + half) >> x.fraction) for total in acc]

    def calibrate(self, block: int, tile: int, mode: str) -> tuple[int, int]:
        unit, neurons = self.p.unit, range(self.x.neurons)
        readout = [0] * len(neurons)
        for r in range(self.p.array.rows):
            self.array.read(block * self.p.array.tiles + tile, [r])
            for n in neurons:
                readout[n] += abs(self.difference(block, n, 0))

        def ratio(reference: int, now: int) -> int:
            if reference == 0:
                return unit
            return min((reference * unit + (now >> 1)) // now, 65535) if now else 65535

        kept = [self.kept[block, tile, n] for n in neurons]
        for n in neurons:
            if mode == "reference":
                self.kept[block, tile, n], factor = readout[n], unit
            elif mode == "column":
                factor = ratio(kept[n], readout[n])
            else:
                factor = ratio(sum(kept), sum(readout))
            self.factor[block, tile, n] = factor
        return DONE, sum(readout)

"""A fabric in plain Python, one neuron at a time, written from the docstrings of `hdl.params`.

It takes host words and gives host words, so it checks images, routes, schedule and protocol
without any help from the mapper's own code.
"""

from dataclasses import replace

import numpy as np

from hdl.params.crossbar.core import CrossbarParams
from hdl.params.neuron import FIELDS
from hdl.params.noc import Memory
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import DenseParams
from hdl.params.ssm.diagonal import DiagonalParams
from hdl.params.ssm.gate import GateParams
from sim.golden.sc.attention import AttentionModel
from tests.mapping.plain_banks import PlainBanks
from tests.mapping.plain_states import PlainGates, PlainStates
from tests.sim.golden.test_dense import plain_bit, plain_numbers

__all__ = ["Core", "Fabric", "unpack", "walk"]

SIGNED = ("bias", "threshold", "reset_value")


def unpack(word: int, *widths: int) -> list[int]:
    """The parts of a word, lowest first, and what is left above them."""
    parts = []
    for width in widths:
        parts.append(word & ((1 << width) - 1))
        word >>= width
    return [*parts, word]


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


def sat(value: int, bits: int) -> int:
    return min(max(value, -(1 << (bits - 1))), (1 << (bits - 1)) - 1)


def walk(rows: int, columns: int, x: int, y: int, width: int, height: int):
    """Tiles and links of a flit from (x, y), hop by hop, X first. The host is (0, -1)."""
    reached, links = [], []

    def vertical(cx: int, cy: int, step: int) -> None:
        while 0 <= cy < height or (cx, cy) == (0, -1):
            if rows >> (cy + 1) & 1:
                reached.append((cx, cy))
            ahead = rows >> (cy + 2) if step > 0 else rows & ((1 << (cy + 1)) - 1)
            if not ahead:
                return
            links.append((cx, cy, cx, cy + step))
            cy += step
        raise AssertionError(f"flit leaves the mesh at ({cx}, {cy})")

    def turn(cx: int) -> None:
        if rows >> (y + 1) & 1:
            reached.append((cx, y))
        for step, ahead in ((1, rows >> (y + 2)), (-1, rows & ((1 << (y + 1)) - 1))):
            if ahead:
                links.append((cx, y, cx, y + step))
                vertical(cx, y + step, step)

    if columns >> x & 1:
        turn(x)
    for step in (1, -1):
        cx = x
        while columns >> (cx + 1) if step > 0 else columns & ((1 << cx) - 1):
            links.append((cx, y, cx + step, y))
            cx += step
            assert 0 <= cx < width, f"flit leaves the mesh at ({cx}, {y})"
            if columns >> cx & 1:
                turn(cx)
    return reached, links


class Core:
    """One core: memories, accumulators, state."""

    def __init__(self, params, images: dict) -> None:
        self.params = params
        self.images = images
        self.banks: PlainBanks | None = None
        self.inner: PlainStates | PlainGates | None = None
        if isinstance(params.dendrites, DiagonalParams):
            self.inner = PlainStates(params.dendrites, images, params.slots)
        elif isinstance(params.dendrites, GateParams):
            self.inner = PlainGates(params.dendrites, images, params.slots)
        self.clear()

    def clear(self) -> None:
        slots = self.params.slots
        self.inputs: dict = {}  # what events of this step set: column, or port, token, column
        self.heard: list[dict] = []  # the inputs of all steps since the clear
        self.acc, self.membrane, self.current = [0] * slots, [0] * slots, [0] * slots
        self.sent = [0] * slots
        if self.inner is not None:
            self.inner.clear()
        if self.banks is not None:
            self.banks.restart()
        elif isinstance(self.params.dendrites, CrossbarParams) and self.images:
            self.banks = PlainBanks(self.params.dendrites, self.images)

    def write(self, memory: Memory, address: int, item: int) -> None:
        p = self.params
        if memory == Memory.STATE and address >= p.slots:
            assert self.inner is not None
            self.inner.restore(address - p.slots, item)
            return
        if memory == Memory.STATE:
            widths = p.membrane_bits, p.current_bits, p.sent_bits
            *parts, rest = unpack(item, *widths)
            assert rest == 0
            for values, part, bits in zip(self.own, parts, widths, strict=True):
                values[address] = signed(part, bits) if bits else 0
            return
        if memory == Memory.CONTROL:
            count = self.params.items[memory][0]
            items = self.images[memory] = list(self.images.get(memory, [0] * count))
            items[address] = item
            self.banks = None
            return
        items = self.images.setdefault(memory, [])
        assert len(items) == address
        items.append(item)

    @property
    def own(self) -> tuple[list[int], list[int], list[int]]:
        return self.membrane, self.current, self.sent

    def state(self, address: int) -> int:
        """An item of Memory.STATE."""
        p = self.params
        if address >= p.slots:
            assert self.inner is not None
            values, widths = self.inner.item(address - p.slots)
        else:
            values = [part[address] for part in self.own]
            widths = [p.membrane_bits, p.current_bits, p.sent_bits]
        word = shift = 0
        for value, bits in zip(values, widths, strict=True):
            word |= (value & ((1 << bits) - 1)) << shift
            shift += bits
        return word

    def row(self, axon: int) -> list[tuple[int, int]]:
        """(slot, weight << exponent) of all entries of a row, zero weights left out."""
        p = self.params
        assert 0 <= axon < p.axons, f"axon {axon} of {p.axons}"
        if p.index == "none":
            first, count = axon * p.groups, p.groups
        else:
            pointer = self.images[Memory.POINTER][axon]
            first, count, rest = unpack(pointer, p.start_bits, p.count_bits)
            assert rest == 0
        assert count <= p.row_words
        out = []
        for k, word in enumerate(range(first, first + count)):
            header = self.images[Memory.SYNAPSE_HEADER][word] if p.header_bits else 0
            group_bits = p.index_bits if p.index == "word" else 0
            group, exponent, rest = unpack(header, group_bits, p.exponent_bits)
            assert rest == 0
            if p.index == "none":
                group = k
            for lane in range(p.lanes):
                entry = self.images[Memory.SYNAPSE][word * p.lanes + lane]
                weight, where = unpack(entry, p.weight_bits)
                if p.index == "lane":
                    group = where
                else:
                    assert where == 0
                if p.weight_bits == 1:
                    weight = 2 * weight - 1
                else:
                    weight = signed(weight, p.weight_bits)
                if weight:
                    out.append((group * p.lanes + lane, weight << exponent))
        return out

    def take(self, axon: int, value: int) -> None:
        p = self.params
        if isinstance(p.dendrites, DenseParams):
            d = p.dendrites
            column, valid, rest = unpack(self.images[Memory.POINTER][axon], d.column_bits, 1)
            assert rest == 0
            if valid:
                assert column not in self.inputs
                self.inputs[column] = signed(value, p.value_bits) if d.streams.value_bits else 1
            return
        if isinstance(p.dendrites, CrossbarParams):
            d = p.dendrites
            widths = (d.crossbar.rows - 1).bit_length(), (d.tiles - 1).bit_length()
            row, tile, valid, rest = unpack(self.images[Memory.POINTER][axon], *widths, 1)
            assert rest == 0
            if valid:
                assert (tile, row) not in self.inputs
                self.inputs[tile, row] = signed(value, p.value_bits) if d.crossbar.value_bits else 1
            return
        if self.inner is not None:
            self.inner.take(axon, signed(value, p.value_bits))
            return
        if p.dendrites is not None:
            d = p.dendrites
            pointer = self.images[Memory.POINTER][axon]
            column, token, ports, rest = unpack(pointer, d.column_bits, d.token_bits, 3)
            assert rest == 0
            for port in range(3):
                if ports >> port & 1:
                    assert (port, token, column) not in self.inputs
                    self.inputs[port, token, column] = 1
            return
        factor = (
            signed(value & ((1 << p.payload_bits) - 1), p.payload_bits) if p.payload_bits else 1
        )
        for slot, weight in self.row(axon):
            self.acc[slot] += weight * factor

    def begin(self) -> None:
        """Sums of all slots at the start of an update, of dendrites other than synapses."""
        d, slots = self.params.dendrites, self.params.slots
        if isinstance(d, DenseParams):
            for slot in range(slots):
                self.acc[slot] = self.dot(d, slot)
        elif isinstance(d, CrossbarParams):
            assert self.banks is not None
            self.acc = self.banks.sums(self.inputs, self.images)[:slots]
        elif self.inner is not None:
            self.acc = self.inner.sums()
        elif isinstance(d, AttentionParams):
            self.heard.append(self.inputs)
            arrays = np.zeros((3, len(self.heard), d.tokens, d.dim), np.uint8)
            for step, inputs in enumerate(self.heard):
                for port, token, column in inputs:
                    arrays[port, step, token, column] = 1
            self.acc = AttentionModel(d).run(*arrays)[-1].reshape(-1).tolist()
        self.inputs = {}

    def dot(self, d: DenseParams, slot: int) -> int:
        """The dot product of one slot, bit by bit."""
        s = d.streams
        length, tolerance, margin = s.log2_length, s.tolerance, s.margin
        if Memory.CONTROL in self.images:
            length, tolerance, margin = unpack(self.images[Memory.CONTROL][0], 5, 33)
            assert margin <= (256 if s.margin >= 0 else 0)
            tolerance, margin = tolerance - 1, margin - 1
        counts = [0] * (length + 1)
        for column, value in self.inputs.items():
            tile, lane = divmod(column, d.lanes)
            bank, bit = divmod(lane, d.bank_lanes)
            first = (slot * d.tiles + tile) * d.planes
            planes = [
                self.images[Memory.SYNAPSE][(first + b) * s.generators + bank] >> bit & 1
                for b in range(d.planes)
            ]
            q = s.weight_bits
            size = sum(plane << b for b, plane in enumerate(planes[: q + 1]))
            size = 1 << q if size == (2 << q) - 1 else size
            sign = (-1 if planes[q + 1] else 1) * (-1 if value < 0 else 1)
            u, v = plain_numbers(replace(s, log2_length=length), bank)
            ones = 0
            for t in range(1 << length):
                ones += plain_bit(size, q, u[t], s.source_bits) & plain_bit(
                    abs(value), s.value_bits, v[t], s.source_bits
                )
                if (t + 1) & t == 0:
                    counts[t.bit_length()] += sign * ones
        whole = s.weight_bits + s.value_bits
        sums = [count << (whole - k) for k, count in enumerate(counts)]
        lead, shift, spikes = self.lead(slot)
        for k in range(s.first, length):
            if k > s.first and abs(sums[k] - sums[k - 1]) <= tolerance:
                return sums[k]
            far = abs((sums[k] << shift) + lead)
            if spikes and margin >= 0 and far > margin << (whole - k) << shift:
                return sums[k]
        return sums[-1]

    def lead(self, slot: int) -> tuple[int, int, bool]:
        """How far a neuron is above its threshold without input; its shift; whether it spikes."""
        p, f, old = self.params, self.fields(slot), self.membrane[slot]
        one = 1 << (p.decay_bits - 1)
        rest = ((old * f["membrane_decay"] + one) >> p.decay_bits) + f["bias"]
        if p.current_bits:
            rest += (self.current[slot] * f["current_decay"] + one) >> p.decay_bits
        if f["reset"] == 2 and old > f["threshold"]:
            rest -= f["reset_value"]
        return rest - f["threshold"], f["shift"], f["emit"] == 1

    def range_of(self, slot: int) -> int:
        word = slot // self.params.update_lanes
        ranges = enumerate(self.params.ranges)
        return next((k for k, r in ranges if r.first <= word < r.end), 0)

    def fields(self, slot: int) -> dict[str, int]:
        p = self.params
        number = self.range_of(slot)
        out = {n: v[number] if isinstance(v, tuple) else v for n, v in p.shared.items()}
        record = self.images[Memory.PARAMETER][slot] if p.record_bits else 0
        for name in FIELDS:
            if name not in p.shared:
                value, record = unpack(record, p.field_bits(name))
                out[name] = signed(value, p.field_bits(name)) if name in SIGNED else value
        assert record == 0
        return out

    def update(self, slot: int, real: bool) -> int | None:
        """Value that the slot emits, None for none. `real`: a neuron lives there."""
        p, f = self.params, self.fields(slot)
        half = 1 << (p.acc_bits - 1)
        assert not real or -half <= self.acc[slot] < half, "accumulator overflows"
        one = 1 << (p.decay_bits - 1)
        x = self.acc[slot] << f["shift"]
        self.acc[slot] = 0
        if p.current_bits:
            kept = (self.current[slot] * f["current_decay"] + one) >> p.decay_bits
            x = self.current[slot] = sat(kept + x, p.current_bits)
        old = self.membrane[slot]
        late = f["reset_value"] if f["reset"] == 2 and old > f["threshold"] else 0
        kept = (old * f["membrane_decay"] + one) >> p.decay_bits
        v = sat(kept + x + f["bias"] - late, p.membrane_bits)
        spike = f["emit"] == 1 and v > f["threshold"]
        if spike and f["reset"] == 0:
            self.membrane[slot] = f["reset_value"]
        elif spike and f["reset"] == 1:
            self.membrane[slot] = sat(v - f["reset_value"], p.membrane_bits)
        else:
            self.membrane[slot] = v
        if f["emit"] & 3 == 2:
            return self.value(slot, f)
        if f["emit"] == 1:
            return 1 if spike else None
        return self.membrane[slot] if f["emit"] == 3 else None

    def wins(self, slot: int) -> bool:
        """Whether a slot may send, all being updated."""
        w = self.params.winners
        if w is None:
            return True
        first = slot - slot % w.group
        rivals = sorted(range(first, first + w.group), key=lambda n: (-self.membrane[n], n))
        return slot in rivals[: w.count]

    def value(self, slot: int, f: dict[str, int]) -> int | None:
        """What a neuron sends that sends values."""
        p, form, changes = self.params, f["emit"] >> 2 & 3, f["emit"] >> 4
        bits = p.emission_bits - changes
        q = (self.membrane[slot] + ((1 << f["value_shift"]) >> 1)) >> f["value_shift"]
        if form == 0:
            value = sat(q, bits)
        elif form == 1:
            value = min(max(q, 0), (1 << (bits - 1)) - 1)
        else:
            assert form == 2
            index = p.tables[self.range_of(slot)] << p.table_bits
            index += sat(q, p.table_bits) + (1 << (p.table_bits - 1))
            value = signed(self.images[Memory.TABLE][index], p.emission_bits)
            assert sat(value, bits) == value
        if not changes:
            return value or None
        if abs(value - self.sent[slot]) <= f["threshold"]:
            return None
        change, self.sent[slot] = value - self.sent[slot], value
        return change


class Fabric:
    """Host words in, host words out. Memories are empty until they are loaded."""

    def __init__(self, mapped, loaded: bool = True) -> None:
        self.mesh, self.host = mapped.mesh, mapped.host
        self.flit = mapped.mesh.flit
        images = mapped.images if loaded else [i and {} for i in mapped.images]
        self.cores = [
            Core(p, i) if p is not None else None
            for p, i in zip(self.mesh.cores, images, strict=True)
        ]
        tiles = len(self.cores)
        self.real = [set() for _ in range(tiles)]
        for where, slots in mapped.slots.values():
            for tile, slot in zip(where.tolist(), slots.tolist(), strict=True):
                assert slot not in self.real[tile], "two neurons in a slot"
                self.real[tile].add(slot)
        self.pending: list[list[tuple[int, int]]] = [[] for _ in range(tiles)]
        self.config = [[0, 0, 0, 0] for _ in range(tiles)]  # memory, address, chunks, bits
        self.out: list[int] = []

    def run(self, words) -> list[int]:
        for word in map(int, words):
            body, op = unpack(word, self.host.body_bits)
            if op == 0:
                self.send(body, 0, 0)
                continue
            mask, clear, rest = unpack(body, self.host.levels, 1)
            assert rest == 0
            self.deliver()
            self.out.append(1 << self.host.body_bits)
            self.step(mask, clear)
        out, self.out = self.out, []
        return out

    def deliver(self) -> None:
        for core, events in zip(self.cores, self.pending, strict=True):
            for axon, value in events:
                core.take(axon, value)
            events.clear()

    def send(self, flit: int, x: int, y: int) -> None:
        f = self.flit
        body, kind, rows, columns, rest = unpack(flit, f.body_bits, 1, f.rows_bits, f.columns_bits)
        assert rest == 0
        assert rows
        assert columns
        reached, _ = walk(rows, columns, x, y, f.width, f.height)
        for cx, cy in reached:
            if cy < 0:
                self.out.append(flit)
                continue
            tile = cy * f.width + cx
            assert self.cores[tile] is not None, f"tile {tile} has no core"
            if kind:
                self.configure(tile, body)
            else:
                value, tag = unpack(body, f.value_bits)
                self.pending[tile].append((tag, value))

    def configure(self, tile: int, body: int) -> None:
        core, state = self.cores[tile], self.config[tile]
        op, data = unpack(body, 2)
        chunk = self.flit.body_bits - 2
        if op == 0:
            memory, address = unpack(data, 3)
            state[:] = [memory, address, 0, 0]
        elif op in (1, 2):
            state[2] |= data << state[3]
            state[3] += chunk
            if op == 2:
                core.write(Memory(state[0]), state[1], state[2])
                state[1:] = [state[1] + 1, 0, 0]
        else:
            assert state[0] == Memory.STATE
            for slot in range(state[1], state[1] + data):
                self.reply(core, slot, chunk)
            state[1] += data

    def reply(self, core: Core, slot: int, chunk: int) -> None:
        f, item = self.flit, core.state(slot)
        address = 1 << (f.body_bits + 1) | 1 << (f.body_bits + 1 + f.rows_bits)  # the host's
        for k in range(-(-core.params.probe_bits // chunk)):
            part = item >> (k * chunk) & ((1 << chunk) - 1)
            self.out.append(part | 1 << f.body_bits | address)

    def step(self, mask: int, clear: int) -> None:
        f = self.flit
        flits = []
        for tile, core in enumerate(self.cores):
            if core is None:
                continue
            if clear:
                core.clear()
                continue
            p, entries = core.params, self.mesh.entries[tile]
            if p.dendrites is not None and mask >> p.ranges[0].level & 1:
                core.begin()
            for r in p.ranges:
                if not mask >> r.level & 1:
                    continue
                slots = range(r.first * p.update_lanes, r.end * p.update_lanes)
                values = {slot: core.update(slot, slot in self.real[tile]) for slot in slots}
                for slot, value in values.items():
                    if value is None or not core.wins(slot):
                        continue
                    for k in range(entries):
                        route = core.images[Memory.ROUTE][slot * entries + k]
                        tag, rows, columns, last, valid = unpack(
                            route, f.tag_bits, f.rows_bits, f.columns_bits, 1
                        )
                        if not valid:
                            assert k == 0
                            break
                        body = (value & ((1 << f.value_bits) - 1)) | tag << f.value_bits
                        flit = body | rows << (f.body_bits + 1)
                        flit |= columns << (f.body_bits + 1 + f.rows_bits)
                        flits.append((flit, tile % f.width, tile // f.width))
                        if last:
                            break
                    else:
                        raise AssertionError("no entry is the last")
        for flit, x, y in flits:
            self.send(flit, x, y)

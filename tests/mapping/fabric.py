"""A fabric in plain Python, one neuron at a time, written from the docstrings of `hdl.params`.

It takes host words and gives host words, so it checks images, routes, schedule and protocol
without any help from the mapper's own code.
"""

from hdl.params.neuron import FIELDS
from hdl.params.noc import Memory

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
        self.clear()

    def clear(self) -> None:
        slots = self.params.slots
        self.acc, self.membrane, self.current = [0] * slots, [0] * slots, [0] * slots

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
        factor = (
            signed(value & ((1 << p.payload_bits) - 1), p.payload_bits) if p.payload_bits else 1
        )
        for slot, weight in self.row(axon):
            self.acc[slot] += weight * factor

    def fields(self, slot: int) -> dict[str, int]:
        p = self.params
        word = slot // p.update_lanes
        number = next((k for k, r in enumerate(p.ranges) if r.first <= word < r.end), 0)
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
        if f["emit"] == 1:
            return 1 if spike else None
        if f["emit"] == 2:
            half = (1 << f["value_shift"]) >> 1
            return sat((self.membrane[slot] + half) >> f["value_shift"], p.emission_bits) or None
        return self.membrane[slot] if f["emit"] == 3 else None


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
                items = core.images.setdefault(Memory(state[0]), [])
                assert len(items) == state[1]
                items.append(state[2])
                state[1:] = [state[1] + 1, 0, 0]
        else:
            assert state[0] == Memory.STATE
            for slot in range(state[1], state[1] + data):
                self.reply(core, slot, chunk)
            state[1] += data

    def reply(self, core: Core, slot: int, chunk: int) -> None:
        p, f = core.params, self.flit
        item = core.membrane[slot] & ((1 << p.membrane_bits) - 1)
        item |= (core.current[slot] & ((1 << p.current_bits) - 1)) << p.membrane_bits
        address = 1 << (f.body_bits + 1) | 1 << (f.body_bits + 1 + f.rows_bits)  # the host's
        for k in range(-(-(p.membrane_bits + p.current_bits) // chunk)):
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
            for r in p.ranges:
                if not mask >> r.level & 1:
                    continue
                for slot in range(r.first * p.update_lanes, r.end * p.update_lanes):
                    value = core.update(slot, slot in self.real[tile])
                    if value is None:
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

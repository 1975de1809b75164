"""Crossbar dendrites in plain Python, from a core's memories, word for word the docstrings of
hdl/params/crossbar/core.py and dendrites.py."""

from types import SimpleNamespace

from hdl.params.crossbar.core import CrossbarParams, Region
from hdl.params.crossbar.device import Age
from hdl.params.noc import Memory
from tests.crossbar.kit_plain import COUNT, MVM, PlainArray

__all__ = ["PlainBanks", "region"]


def region(d: CrossbarParams, images: dict, which: Region) -> list[int]:
    """The items of a region of the control words."""
    first = which << d.region_bits
    return images[Memory.CONTROL][first : first + d.regions[which][0]]


class PlainBanks(PlainArray):
    """The banks of a core, as a clear finds its memories."""

    def __init__(self, d: CrossbarParams, images: dict) -> None:
        words = region(d, images, Region.STATE)
        self.first = list(zip(words[0::2], words[1::2], strict=True))
        log_age, fresh, slow = region(d, images, Region.AGE)
        age = Age(log_age=log_age, fresh=fresh, slow=slow)
        super().__init__(SimpleNamespace(array=d.array), [age])
        self.d = d
        top = (1 << d.array.cell_bits) - 1
        for (bank, row, column), cell in self.cells.items():
            item = images[Memory.SYNAPSE][(bank * self.p.rows + row) * self.p.columns + column]
            cell[0], cell[1] = item & top, item >> d.array.cell_bits & 511
            cell[3] = item >> (d.array.cell_bits + 9)
            assert cell[3] == 0, "a core's devices take no pulses"
        self.age()

    def restart(self) -> None:
        self.states = [list(state) for state in self.first]

    def sums(self, values: dict[tuple[int, int], int], images: dict) -> list[int]:
        """Input sums of all places, block by block; `values` by (tile, row)."""
        d, c = self.d, self.d.crossbar
        column, factor = (region(d, images, r) for r in (Region.COLUMN, Region.FACTOR))
        words = region(d, images, Region.REFERENCE)
        self.reference = [
            words[bank * c.columns : (bank + 1) * c.columns] for bank in range(self.p.banks)
        ]
        p, sense = c.value_bits, c.sampling != "none"
        acc = [0] * d.blocks * c.neurons
        for block in range(d.blocks):
            for tile in range(d.tiles):
                bank = block * d.tiles + tile
                for sign in (1, -1) if p else (1,):
                    x = {
                        row: sign * value
                        for (where, row), value in values.items()
                        if where == tile and sign * value > 0
                    }
                    assert all(value < 1 << max(p, 1) for value in x.values())
                    if c.input == "serial":
                        trains = [
                            (1 << k, [[r for r, v in x.items() if v >> k & 1]])
                            for k in range(max(p, 1))
                        ]
                    else:
                        most = max(x.values(), default=0)
                        trains = [(1, [[r for r, v in x.items() if v > u] for u in range(most)])]
                    for place, reads in trains:
                        reads = [driven for driven in reads if driven]
                        for u, driven in enumerate(reads):
                            self.read(bank, driven, hold=u > 0, sense=sense)
                        done = sum(map(len, reads))
                        if not done:
                            continue
                        for n in range(c.neurons):
                            at = (block * c.neurons + n) * c.width
                            codes = [
                                self.code(column[at + i], COUNT if sense else MVM)
                                for i in range(c.width)
                            ]
                            if c.sampling == "binary":
                                total = 2 * codes[0] - done
                            else:
                                total = sum(codes[0::2]) - sum(codes[1::2])
                            acc[block * c.neurons + n] += (
                                sign * place * factor[bank * c.neurons + n] * total
                            )
        return [(total + (1 << (c.fraction - 1))) >> c.fraction for total in acc]

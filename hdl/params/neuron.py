"""Parameters, word layouts and the integer equations of the neuron core.

The equations (every twin implements exactly these; integers, two's complement, `>>` floors)
--------------------------------------------------------------------------------------------
While a step's events arrive, each neuron sums its input; the sum never saturates::

    acc += (weight << exponent) * value          value = 1 for a spike

At the step's update, with D = `decay_bits`, M = `membrane_bits`, C = `current_bits`::

    scale(x, f) = (x*f + 2**(D-1)) >> D                              round half up
    sat(x, b)   = min(max(x, -2**(b-1)), 2**(b-1) - 1)
    x       = acc << shift
    current = sat(scale(current, current_decay) + x, C)              if C > 0
    x       = current                                                if C > 0
    late    = reset_value if reset == DELAYED and membrane > threshold else 0
    v       = sat(scale(membrane, membrane_decay) + x + bias - late, M)
    spike   = emit == SPIKE and v > threshold
    membrane = reset_value                 if spike and reset == SET
               sat(v - reset_value, M)     if spike and reset == SUBTRACT
               v                           otherwise
    acc     = 0

With other dendrites (hdl/params/dendrites.py) acc is their sum instead. The neuron emits, once per
update, if it isn't silenced by the winners of its group (hdl/params/winners.py)::

    NONE   nothing
    SPIKE  an event of value 1 if it spiked
    STATE  the membrane itself, always (outputs for the host)
    VALUE, RELU, TABLE (and their DELTA forms) a value, with q = (membrane + half) >> value_shift,
    half = (1 << value_shift) >> 1, E = emission_bits (DELTA: emission_bits - 1)::

           VALUE  value = sat(q, E)
           RELU   value = min(max(q, 0), 2**(E-1) - 1)
           TABLE  value = table[sat(q, table_bits) + 2**(table_bits-1)], of the range's table

           an event of that value if it is not 0; or, DELTA, if abs(value - sent) > threshold,
           an event of value - sent, and then sent = value

A test `v >= t` is stored as `v > t - 1`. A clear sets membrane, current, acc and sent to 0.
DELTA sends changes (sigma-delta: Lava's `Sigma`/`Delta`, O'Connor & Welling, arXiv 1611.02024); its
targets add them up: with current_decay 2**D and membrane_decay 0 the current is the weighted sum of
the values themselves.
The DELAYED reset is snnTorch's (`Leaky`, reset_delay=True): the neuron that was above threshold
after the previous step subtracts before it adds.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from hdl.params.dendrites import DendritesParams, Memory
from hdl.params.winners import Winners

__all__ = [
    "FIELDS", "CoreParams", "Emit", "Range", "Reset", "bits_for", "sends_changes", "sends_value",
]  # fmt: skip


class Reset(IntEnum):
    """What a spike does to the membrane."""

    SET = 0
    SUBTRACT = 1
    DELAYED = 2


class Emit(IntEnum):
    """What a neuron sends after its update. Bits 0, 1 are 2 for values, see `sends_value`."""

    NONE = 0
    SPIKE = 1
    VALUE = 2
    STATE = 3
    RELU = 2 | 1 << 2
    TABLE = 2 | 2 << 2
    DELTA = 2 | 1 << 4
    RELU_DELTA = 2 | 1 << 2 | 1 << 4
    TABLE_DELTA = 2 | 2 << 2 | 1 << 4


def sends_value(emit: Any) -> Any:
    """Whether values are sent; of an Emit, an array of them, or a signal."""
    return (emit & 3) == Emit.VALUE


def sends_changes(emit: Any) -> Any:
    """Whether changes of values are sent (DELTA); of an Emit or an array of them."""
    return (emit >> 4) == 1


#: Per-neuron parameters in the order in which they are packed, lowest bits first.
FIELDS = (
    "membrane_decay",
    "current_decay",
    "bias",
    "threshold",
    "reset_value",
    "shift",
    "value_shift",
    "reset",
    "emit",
)


def bits_for(count: int) -> int:
    """Bits of an index into `count` things; 0 for one thing."""
    return max(count - 1, 0).bit_length()


@dataclass(frozen=True, kw_only=True)
class Range:
    """State words `first` <= w < `end` of a core, updated when bit `level` of the step is set."""

    level: int
    first: int
    end: int


@dataclass(frozen=True, kw_only=True)
class CoreParams:
    """One neuron core.

    Neurons live in slots. Slot n has its accumulator in lane n % lanes, group n // lanes, and its
    state in word n // update_lanes. Each population starts at a multiple of `lanes`.

    Parameters
    ----------
    slots : neuron slots, a multiple of `lanes`.
    lanes : synaptic operations per cycle; a power of two.
    update_lanes : neurons updated per cycle; a power of two, at most `lanes`.
    levels : width of the step's level mask.
    ranges : what each level updates, ordered, not overlapping; a level may have several.
    axons : input rows; an event names its row.
    index : how a synapse word says which neurons it feeds. "none": row r is the words
        r*groups .. r*groups+groups-1, word k feeds group k (no pointer table). "word": each word
        carries one group number. "lane": each lane's entry carries its own group number.
    synapse_words : depth of the synapse memory.
    row_words : most words in a row ("none": equal to groups).
    weight_bits : signed weight width, 1 (binary: 0 is -1, 1 is +1) or 2..16.
    exponent_bits : width of a word's left shift, 0 for none.
    payload_bits : width of an event's signed value that is multiplied; 0 = events are spikes.
    emission_bits : width that an emitted VALUE is clipped to; 0 if the core emits none.
    value_bits : width of the value port of events, >= payload_bits and emission_bits.
    membrane_bits, current_bits, decay_bits, acc_bits : formats; current_bits 0 = no current.
    shared : fields that are constants: one for all slots, or a tuple with one for each range;
        the others stand in the parameter memory.
    changes : some neurons send changes (DELTA): the core remembers what was sent.
    table_bits : width of a table's index, 0 if no neuron's emission is read from a table.
    tables : of each range the number of its table (any without one); empty if table_bits is 0.
    dendrites : what sums the input; None is the event-driven synapses that the parameters from
        `index` to `payload_bits` describe. With others these don't count, `lanes` and
        `update_lanes` are 1, and the ranges cover all slots at one level.
    winners : only these of each group of neighbours send (hdl/params/winners.py); None: all. Then
        `update_lanes` is 1, the core has one range, from 0 on, of whole groups, and no `changes`.
    """

    slots: int
    lanes: int = 1
    update_lanes: int = 1
    levels: int = 1
    ranges: tuple[Range, ...]
    axons: int
    index: str = "none"
    synapse_words: int = 1
    row_words: int = 0
    weight_bits: int = 8
    exponent_bits: int = 0
    payload_bits: int = 0
    emission_bits: int = 0
    value_bits: int = 0
    membrane_bits: int = 16
    current_bits: int = 0
    decay_bits: int = 12
    acc_bits: int = 16
    shared: dict[str, int | tuple[int, ...]] = field(default_factory=dict)
    changes: bool = False
    table_bits: int = 0
    tables: tuple[int, ...] = ()
    dendrites: DendritesParams | None = None
    winners: Winners | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("slots", 1, 1 << 20),
            ("lanes", 1, 256),
            ("update_lanes", 1, 256),
            ("levels", 1, 256),
            ("axons", 1, 1 << 20),
            ("synapse_words", 1, 1 << 24),
            ("row_words", 0, 1 << 24),
            ("weight_bits", 1, 16),
            ("exponent_bits", 0, 4),
            ("payload_bits", 0, 18),
            ("emission_bits", 0, 18),
            ("value_bits", 0, 32),
            ("membrane_bits", 2, 32),
            ("current_bits", 0, 32),
            ("decay_bits", 1, 16),
            ("acc_bits", 2, 40),
            ("table_bits", 0, 12),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an integer, not {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{name} must be in {low}..{high}, not {value}")
        if self.slots % self.lanes:
            raise ValueError(f"slots must be a multiple of lanes ({self.lanes}), not {self.slots}")
        for name in ("lanes", "update_lanes"):
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name} must be a power of two, not {value}")
        if self.update_lanes > self.lanes:
            raise ValueError(
                f"update_lanes must be at most lanes ({self.lanes}), not {self.update_lanes}"
            )
        if self.index not in ("none", "word", "lane"):
            raise ValueError(f"index must be 'none', 'word' or 'lane', not {self.index!r}")
        if self.index == "none" or not self.row_words:
            object.__setattr__(self, "row_words", self.groups)
        events = self.dendrites is None
        if events and self.index == "none" and self.synapse_words < self.axons * self.groups:
            raise ValueError(
                f"synapse_words must be at least axons * groups = {self.axons * self.groups} "
                f"with index 'none', not {self.synapse_words}"
            )
        for name in ("payload_bits", "emission_bits"):
            if getattr(self, name) > self.value_bits:
                raise ValueError(
                    f"{name} must be at most value_bits ({self.value_bits}), "
                    f"not {getattr(self, name)}"
                )
        if unknown := set(self.shared) - set(FIELDS):
            raise ValueError(f"shared names unknown fields: {sorted(unknown)}")
        for name, value in self.shared.items():
            if isinstance(value, tuple) and len(value) != len(self.ranges):
                raise ValueError(
                    f"shared {name} must have a value for each of {len(self.ranges)} ranges, "
                    f"not {len(value)}"
                )
        if not self.current_bits and "current_decay" not in self.shared:
            object.__setattr__(self, "shared", {**self.shared, "current_decay": 0})
        if len(self.tables) != (len(self.ranges) if self.table_bits else 0):
            raise ValueError(f"tables must be a number for each range, not {self.tables}")
        if self.changes and self.emission_bits < 3:
            raise ValueError(
                f"emission_bits must be at least 3 for changes, not {self.emission_bits}"
            )
        end = 0
        for r in self.ranges:
            if not end <= r.first < r.end <= self.state_words or not 0 <= r.level < self.levels:
                raise ValueError(
                    f"range {r} must follow the one before it, lie in 0..{self.state_words} "
                    f"and name a level below {self.levels}"
                )
            end = r.end
        if self.dendrites is not None:
            self._check_dendrites(self.dendrites)
        if self.winners is not None:
            self._check_winners(self.winners)

    def _check_winners(self, winners: Winners) -> None:
        if self.update_lanes != 1 or self.changes:
            raise ValueError("update_lanes must be 1 and changes not be sent with winners")
        ends = [(r.first, r.end) for r in self.ranges]
        if len(ends) != 1 or ends[0][0] or ends[0][1] % winners.group:
            raise ValueError(
                f"winners need one range from 0 on, of whole groups of {winners.group}, not {ends}"
            )

    def _check_dendrites(self, dendrites: DendritesParams) -> None:
        kind = type(dendrites).__name__
        if self.lanes != 1 or self.index != "none":
            raise ValueError(
                f"lanes must be 1 and index 'none' with dendrites {kind}, "
                f"not {self.lanes} and {self.index!r}"
            )
        if len({r.level for r in self.ranges}) != 1:
            raise ValueError(f"all ranges must have one level with dendrites {kind}")
        if sum(r.end - r.first for r in self.ranges) != self.slots:
            raise ValueError(f"the ranges must cover all {self.slots} slots with dendrites {kind}")
        dendrites.check(self)

    @property
    def items(self) -> dict[Memory, tuple[int, int]]:
        """Memories of the core that can be written: (number of items, bits of an item)."""
        parameters = {Memory.PARAMETER: (self.slots, self.record_bits)}
        if self.table_bits:
            entries = (max(self.tables) + 1) << self.table_bits
            parameters[Memory.TABLE] = entries, self.emission_bits
        if self.dendrites is not None:
            return self.dendrites.items(self.slots, self.axons) | parameters
        return {
            Memory.SYNAPSE: (self.synapse_words * self.lanes, self.entry_bits),
            Memory.SYNAPSE_HEADER: (self.synapse_words, self.header_bits),
            Memory.POINTER: (self.axons, self.pointer_bits),
            **parameters,
        }

    @property
    def update_cycles(self) -> int:
        """Most cycles that an update of all slots takes, up to what is sent."""
        own = self.state_words + 16
        return own + (self.dendrites.update_cycles(self.slots) if self.dendrites else 0)

    @property
    def groups(self) -> int:
        """Accumulator words per lane."""
        return self.slots // self.lanes

    @property
    def state_words(self) -> int:
        return self.slots // self.update_lanes

    @property
    def state_bits(self) -> int:
        """Bits of one neuron's state between steps: membrane, then current."""
        return self.membrane_bits + self.current_bits

    @property
    def sent_bits(self) -> int:
        """Bits of what a neuron sent last, 0 unless some send changes."""
        return self.emission_bits - 1 if self.changes else 0

    @property
    def state_items(self) -> int:
        """Items of Memory.STATE: the slots, then the dendrites' states."""
        return self.slots + (self.dendrites.state_items(self.slots) if self.dendrites else 0)

    @property
    def probe_bits(self) -> int:
        """Bits of an item of Memory.STATE: membrane, current, sent, or a state of the dendrites."""
        own = self.state_bits + self.sent_bits
        return max(own, self.dendrites.item_bits if self.dendrites else 0)

    @property
    def index_bits(self) -> int:
        return bits_for(self.groups)

    @property
    def entry_bits(self) -> int:
        """Bits of one lane's entry in a synapse word: weight, then index in "lane" mode.

        An unused entry of a binary-weight core in "lane" mode can't be told from a synapse:
        binary weights need index "none" or "word".
        """
        return self.weight_bits + (self.index_bits if self.index == "lane" else 0)

    @property
    def header_bits(self) -> int:
        """Bits of a synapse word's header: group number ("word" only), then exponent on top."""
        return (self.index_bits if self.index == "word" else 0) + self.exponent_bits

    @property
    def start_bits(self) -> int:
        return max(bits_for(self.synapse_words), 1)

    @property
    def count_bits(self) -> int:
        return self.row_words.bit_length()

    @property
    def pointer_bits(self) -> int:
        """Bits of a pointer: first word, number of words (lowest first); 0 with index "none"."""
        return 0 if self.index == "none" else self.start_bits + self.count_bits

    def field_bits(self, name: str) -> int:
        """Width of a per-neuron field; bias, threshold and reset_value are signed."""
        return {
            "membrane_decay": self.decay_bits + 1,
            "current_decay": self.decay_bits + 1,
            "bias": self.membrane_bits,
            "threshold": self.membrane_bits,
            "reset_value": self.membrane_bits,
            "shift": 4,
            "value_shift": 5,
            "reset": 2,
            "emit": 5,
        }[name]

    @property
    def table_fields(self) -> tuple[str, ...]:
        """Fields that stand in the parameter memory, in packing order."""
        return tuple(name for name in FIELDS if name not in self.shared)

    @property
    def record_bits(self) -> int:
        """Bits of one neuron's record in the parameter memory."""
        return sum(self.field_bits(name) for name in self.table_fields)

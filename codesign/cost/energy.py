"""Energy of a sample: counted operations times published energies, plus clock and static power.

An estimate, whatever its digits: nothing here was measured on a board. What is counted, bit by bit,
comes from the golden model and from the flits that codesign/cost/cycles.py follows. With s the
share of silent neurons the sum has the form

    E(s) = static power * latency + clock + updates
           + (1 - s) (synapses of an event * E_synapse + flits of an event * hops * E_hop)

where the logic of an update works only for membranes that are not 0. Bit-streams and the reads of
devices don't fall with s but where a whole tile, or a whole read, has no event.
`tests/bench/bench_energy.py` compares the shape with toggles of the RTL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hdl.params.crossbar.core import CrossbarParams
from hdl.params.crossbar.device import SIGMA_BITS
from hdl.params.crossbar.noise import DRAW_BITS
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import DenseParams
from hdl.params.ssm.diagonal import DiagonalParams
from hdl.params.ssm.gate import GateParams

if TYPE_CHECKING:
    from codesign.cost.cycles import Activity, Cycles
    from hdl.params.neuron import CoreParams
    from mapping.mapped import Mapped

__all__ = ["FIGURES", "STATIC_MW", "Energy", "Figure", "energy", "moved", "operations"]

HOROWITZ = "Horowitz, ISSCC 2014, 45 nm, 0.9 V"
GAP = "Kuon & Rose, IEEE TCAD 26(2), 2007: logic of FPGAs takes 14 times the energy of cells"


@dataclass(frozen=True)
class Figure:
    """An energy in pJ, and where it comes from."""

    pj: float
    source: str


#: Of a bit of an adder, register or multiplexer in LUTs; of a bit times a bit of a hard multiplier;
#: of a bit of memory, read or written; of a bit of a flit that crosses a link; of a flip-flop's
#: clock in a cycle.
FIGURES = {
    "logic": Figure(14 * 0.1 / 32, f"addition of 32 bits, .1 pJ ({HOROWITZ}); {GAP}"),
    "multiply": Figure(3.1 / 1024, f"product of 32 x 32 bits, 3.1 pJ ({HOROWITZ})"),
    "memory": Figure(10 / 64, f"64 bits of 8 KB SRAM, 10 pJ ({HOROWITZ})"),
    "hop": Figure(2 * 14 * 0.1 / 32, "a register and a multiplexer, as two bits of logic"),
    "clock": Figure(0.05, "assumed; no published figure"),
}

#: Static power of a whole part in mW: assumed, of the order of standby currents in data sheets.
STATIC_MW = {"LFE5U-25F": 85.0, "LFE5U-45F": 130.0, "LFE5U-85F": 230.0}
STATIC_SOURCE = "assumed for the whole part, used or not; not measured, not read from a data sheet"


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Of a sample, in uJ. parts : by what it is spent on, their sum is `uj`; sources : of the
    figures, by name of FIGURES, and of "static"."""

    uj: float
    parts: dict[str, float]
    sources: dict[str, str]

    @property
    def dynamic_uj(self) -> float:
        """Of the operations alone, without clock and static power."""
        return self.uj - self.parts["clock"] - self.parts["static"]


def operations(mapped: Mapped, done: Activity, took: Cycles) -> dict[str, dict[str, float]]:
    """Bits that a mean sample moves: part ("synapses", "neurons", "streams", "devices", "states",
    "attention", "network") to name of FIGURES to bits (of "multiply": bits times bits)."""
    parts: dict[str, dict[str, float]] = {}

    def add(part: str, **bits: float) -> None:
        own = parts.setdefault(part, {})
        for name, value in bits.items():
            own[name] = own.get(name, 0.0) + float(value)

    names = _populations(mapped)
    home = np.concatenate([mapped.slots[p.name][0] for p in mapped.program.populations])
    flit = mapped.mesh.flit
    cores = [(t, core) for t, core in enumerate(mapped.mesh.cores) if core is not None]
    for (tile, core), counts in zip(cores, took.of_core, strict=True):
        events, words, updates, scans, tiles, rows, codes = counts.tolist()
        times = updates / core.state_words  # of all its neurons
        alive = float(done.alive[home == tile].sum()) / core.slots
        _neurons(add, core, updates, scans, alive)
        d = core.dendrites
        if d is None:
            _synapses(add, core, events, words)
        elif isinstance(d, DenseParams):
            add("streams", memory=events * (d.column_bits + 2 * d.value_planes * d.bank_lanes))
            bits = _mean_bits(mapped, done, names[tile]) * tiles * core.slots * d.lanes
            add("streams", memory=2 * bits, logic=2 * bits)
        elif isinstance(d, CrossbarParams):
            c = d.crossbar
            add("devices", memory=events * (d.pointer_bits + 2 * c.rows))
            cells = rows * c.columns
            add("devices", memory=cells * (c.cell_bits + SIGMA_BITS))
            add("devices", multiply=cells * SIGMA_BITS * DRAW_BITS, logic=cells * 3 * c.cell_bits)
            add("devices", multiply=codes * 18 * 18, logic=codes * (c.adc_bits + core.acc_bits))
        elif isinstance(d, DiagonalParams):
            width, words = d.diagonal.value_bits, times * d.state_words(core.slots)
            add("states", memory=events * 2 * width + times * core.slots * width)
            add("states", memory=words * d.lanes * (2 * d.state_bits + d.coefficient_bits))
            add("states", multiply=words * d.multipliers * 18 * 18)
            add("states", logic=words * d.lanes * 2 * d.state_bits)
        elif isinstance(d, GateParams):
            width = d.gate.value_bits
            add("states", memory=events * 2 * width + times * core.slots * 2 * width)
            add("states", multiply=times * core.slots * width**2)
        elif isinstance(d, AttentionParams):
            pairs = times * d.tokens * d.tokens / (2 if d.causal else 1)
            add("attention", memory=events * d.item_bits + pairs * 2 * d.dim)
            add("attention", logic=pairs * 2 * d.dim + pairs * d.dim * 2)
    sent = took.counts
    add("network", hop=sent["hops"] * flit.flit_bits, memory=sent["flits"] * flit.route_bits)
    add("network", logic=(sent["flits"] + sent["events"]) * flit.flit_bits)
    return parts


def _neurons(add: Any, core: CoreParams, updates: float, scans: float, alive: float) -> None:
    """Updates of words of neurons, and emissions of neurons that may send.

    A shared decay is an addition for each digit that is not 0 (in canonical signed digits), the
    rest of an update about six words of logic: hdl/neuron/update.py.
    """
    each = updates * core.update_lanes
    stored = 2 * core.state_bits + core.record_bits + 2 * core.acc_bits + 2
    add("neurons", memory=each * stored + scans * core.state_bits)
    add("neurons", logic=scans * (core.emission_bits + core.state_bits))
    for name, bits in (
        ("membrane_decay", core.membrane_bits),
        ("current_decay", core.current_bits),
    ):
        add("neurons", logic=each * alive * 6 * bits)
        if name not in core.shared:
            add("neurons", multiply=each * alive * bits * core.decay_bits)
            continue
        value = core.shared[name]
        decays = value if isinstance(value, tuple) else (value,)
        digits = max((3 * d ^ d).bit_count() for d in decays)
        add(
            "neurons",
            logic=each * alive * max(digits - 1, 0) * (bits + core.decay_bits) * (bits > 0),
        )


def _synapses(add: Any, core: CoreParams, events: float, words: float) -> None:
    """Rows of weights, and sums; every lane of a word works, whether it has a synapse or not."""
    lanes = words * core.lanes
    add("synapses", memory=events * core.pointer_bits + words * core.header_bits)
    add("synapses", memory=lanes * (core.entry_bits + 2 * core.acc_bits))
    add("synapses", logic=lanes * core.acc_bits)
    add("synapses", multiply=lanes * core.weight_bits * core.payload_bits)


def _populations(mapped: Mapped) -> dict[int, str]:
    """A population of each tile."""
    found: dict[int, str] = {}
    for name, (tiles, _) in mapped.slots.items():
        found |= dict.fromkeys(tiles.tolist(), name)
    return found


def _mean_bits(mapped: Mapped, done: Activity, name: str) -> float:
    sums = done.lengths.sum() * mapped.program.population(name).size
    return float(done.stream_bits[name].sum()) / max(float(sums), 1.0)


def _overhead(ff: float, cycles: float, mhz: float, device: str) -> dict[str, float]:
    """uJ of clock and static power."""
    return {
        "clock": ff * cycles * FIGURES["clock"].pj * 1e-6,
        "static": STATIC_MW[device] * cycles / mhz * 1e-3,
    }


def energy(
    mapped: Mapped,
    done: Activity,
    took: Cycles,
    *,
    ff: float,
    mhz: float,
    device: str = "LFE5U-85F",
) -> Energy:
    """Energy of a mean sample on a part. KeyError for a device that STATIC_MW doesn't know.

    done, took : what the Program did, and the cycles of that. ff : flip-flops. mhz : the clock.
    """
    parts = {
        part: sum(FIGURES[name].pj * bits for name, bits in own.items()) * 1e-6
        for part, own in operations(mapped, done, took).items()
    }
    parts |= _overhead(ff, took.per_sample, mhz, device)
    sources = {name: figure.source for name, figure in FIGURES.items()}
    return Energy(uj=sum(parts.values()), parts=parts, sources={**sources, "static": STATIC_SOURCE})


def moved(
    uj: float,
    before: tuple[float, float, float],
    after: tuple[float, float, float],
    device: str = "LFE5U-85F",
) -> float:
    """An energy whose (flip-flops, cycles, MHz) are better known: the operations stay."""
    old, new = (_overhead(*values, device) for values in (before, after))
    return uj + sum(new.values()) - sum(old.values())

"""Stochastic dense dendrites: a neuron's input sum as one dot product of bit-streams.

The equations. w(i, j) is the weight (its exponent applied) from source j to neuron i, x(j) the
value of source j's event in this step, 0 without one, 1 for a spike; q = `weight_bits`,
p = `value_bits`, S = `source_bits`. Magnitudes up to 2**q and 2**p are probabilities |w| / 2**q
and |x| / 2**p. A number generator gives an S-bit number u; a weighted-binary stochastic number
generator (Gupta & Kumaresan 1988) makes of it one bit of the stream of m / 2**n::

    bit(m, n, u) = 1                    if m == 2**n
                   bit n - 1 - h of m   if h < n, h = number of leading zeros of u (S bits wide)
                   0                    otherwise

Over all 2**S values of u that gives m * 2**S / 2**n ones, if n <= S. Source j draws from generator
g(j) = j % `generators`, where j counts through all inputs of the neuron's population (projection
by projection in the order of the Program, source neuron by source neuron). With u(g, t) for
weights and v(g, t) for values, the sum after 2**k cycles, in units of weight times value, is::

    count(k, i) = sum over j of sgn(w(i, j) * x(j)) * sum over t < 2**k of
                      bit(|w(i, j)|, q, u(g(j), t)) & bit(|x(j)|, p, v(g(j), t))
    sum(k, i)   = count(k, i) << (p + q - k)

The neuron's input is sum(K, i) with K = `log2_length`. With `tolerance` >= 0 or `margin` >= 0
(early termination, if `first` < K) it is sum(k, i) of the first k in `first` .. K for which one of
these holds::

    k == K
    |sum(k, i) - sum(k - 1, i)| <= tolerance                  tolerance >= 0, k > first: it settled
    |(sum(k, i) << f) + lead| > (margin << (p + q - k)) << f  margin >= 0, emit SPIKE: it decided

A margin counts last places of the stream as it stands. With the symbols of hdl/params/neuron.py,
D = `decay_bits`, f the neuron's `shift`, and its state before this update, lead is what the neuron
is above its threshold without input, so that it would fire iff (input << f) + lead > 0 (as long as
nothing saturates)::

    rest = scale(membrane, membrane_decay) + (scale(current, current_decay) if C > 0 else 0)
           + bias - late
    lead = rest - threshold

Neurons that emit something else ignore the margin. An input is a function of the neuron's own sum
and state: it does not depend on the mapping.

The generators start anew in each step; with ~ the inverse of S bits and ^ exclusive or::

    "sobol"  u(g, t) = ~(vdc(t) ^ vdc(g)), v(g, t) = ~(sobol2(t) ^ sobol2(g)): the first two
             dimensions of Sobol's sequence, point t in natural order (vdc is t with its S bits
             reversed; sobol2 is the second dimension's matrix of Joe & Kuo times t), with a digital
             shift for each generator. The inverse makes every prefix of 2**k bits round to
             nearest: count(k) of a single spike is floor(|w| * 2**k / 2**q + 1/2) for g = 0.
    "lfsr"   the states of LFSRs of S bits (hdl/params/sc/lfsr.py, steps=1) from
             u: seed_of(seed, 2 * g, S), v: seed_of(seed, 2 * g + 1, S).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.dendrites import DendritesParams, Memory
from hdl.params.neuron import CoreParams, bits_for
from hdl.params.sc.unit import check_integer

__all__ = ["LENGTH_BITS", "MARGIN_BITS", "TOLERANCE_BITS", "DenseParams", "Streams"]

#: Bits of the fields of the control word.
LENGTH_BITS, TOLERANCE_BITS, MARGIN_BITS = 5, 33, 9

#: Most cycles from the last bit of a stream to the sum.
LATENCY = 20


@dataclass(frozen=True, kw_only=True)
class Streams:
    """What a stochastic population computes; it does not depend on the mapping.

    Parameters
    ----------
    weight_bits : q, 0..15: magnitudes of weights are at most 2**q.
    value_bits : p, 0..17: magnitudes of event values are at most 2**p; 0 for spikes.
    source_bits : S, 0..16 and at most p + q: the longest stream has 2**S bits.
    log2_length : K, 0..S; in hardware it can be set at run time.
    tolerance : early termination, in units of weight times value; -1 never. Set at run time too.
    margin : early termination of neurons that spike, in last places, 0..255; -1 never. Hardware
        that has it at all (built with a margin >= 0) can set it at run time, also to -1.
    first : with early termination, the shortest stream has 2**first bits by `margin`,
        2**(first + 1) by `tolerance`; 0..16.
    generator : "sobol" or "lfsr" (S at least 3).
    generators : how many, a power of two, 1..16: sources share them.
    seed : of "lfsr".
    """

    weight_bits: int
    value_bits: int = 0
    source_bits: int
    log2_length: int
    tolerance: int = -1
    margin: int = -1
    first: int = 2
    generator: str = "sobol"
    generators: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("weight_bits", self.weight_bits, 0, 15)
        check_integer("value_bits", self.value_bits, 0, 17)
        most = min(16, self.weight_bits + self.value_bits)
        check_integer("source_bits", self.source_bits, 0, most)
        check_integer("log2_length", self.log2_length, 0, self.source_bits)
        check_integer("tolerance", self.tolerance, -1, (1 << 32) - 1)
        check_integer("margin", self.margin, -1, 255)
        check_integer("first", self.first, 0, 16)
        check_integer("generators", self.generators, 1, 16)
        check_integer("seed", self.seed, 0, (1 << 32) - 1)
        if self.generators & (self.generators - 1):
            raise ValueError(f"generators must be a power of two, not {self.generators}")
        if self.generator not in ("sobol", "lfsr"):
            raise ValueError(f"generator must be 'sobol' or 'lfsr', not {self.generator!r}")
        if self.generator == "lfsr" and self.source_bits < 3:
            raise ValueError(f"an LFSR needs source_bits of at least 3, not {self.source_bits}")


@dataclass(frozen=True, kw_only=True)
class DenseParams(DendritesParams):
    """The hardware of stochastic dendrites.

    Columns are the sources that feed the core. `lanes` of them are multiplied in a cycle: column c
    stands in tile c // lanes, lane c % lanes, and draws from generator
    c % lanes // (lanes / generators), so lanes fall into `generators` banks of neighbours.

    Since all lanes of a bank share one number u, the bit of every weight's stream is the same bit
    of each weight: weights are stored as bit planes, and the number selects the plane. Plane b of
    q + 2: bit b of the code for b = 0 .. q, then the sign. The code of a magnitude m is m, but
    2**(q+1) - 1 (all ones) for m = 2**q; so bit(m, q, u) is plane q - 1 - h if h < q, else plane q.
    Memory.SYNAPSE has one item for each slot, tile, plane and bank: item
    ((slot * tiles + tile) * planes + plane) * generators + bank, whose bit n belongs to lane
    bank * (lanes / generators) + n. Unused columns have weight 0.
    Memory.POINTER, item [axon]: the column, then 1 bit "valid" on top; an event of an axon that is
    not valid is dropped. Memory.CONTROL, item [0]: log2_length (5 bits), then tolerance + 1 (33
    bits), then margin + 1 (9 bits, only if the core `decides`); a log2_length above S means S.
    Without an image of it `streams` says what holds. A new one holds from the next update on.

    Parameters
    ----------
    streams : the equations' parameters.
    columns : a multiple of lanes.
    lanes : a power of two, at least `streams.generators`.
    """

    streams: Streams
    columns: int
    lanes: int

    def __post_init__(self) -> None:
        check_integer("lanes", self.lanes, 1, 1024)
        if self.lanes & (self.lanes - 1):
            raise ValueError(f"lanes must be a power of two, not {self.lanes}")
        if self.lanes < self.streams.generators:
            raise ValueError(
                f"lanes must be at least generators ({self.streams.generators}), not {self.lanes}"
            )
        check_integer("columns", self.columns, 1, 1 << 20)
        if self.columns % self.lanes:
            raise ValueError(f"columns must be a multiple of {self.lanes}, not {self.columns}")

    @property
    def tiles(self) -> int:
        return self.columns // self.lanes

    @property
    def planes(self) -> int:
        """Bit planes of a weight: code 0..q, sign."""
        return self.streams.weight_bits + 2

    @property
    def value_planes(self) -> int:
        """Bit planes of an event's value: code 0..p, sign; 1 for a spike."""
        return self.streams.value_bits + 2 if self.streams.value_bits else 1

    @property
    def bank_lanes(self) -> int:
        """Lanes of one generator."""
        return self.lanes // self.streams.generators

    @property
    def column_bits(self) -> int:
        return bits_for(self.columns)

    def items(self, slots: int, axons: int) -> dict[Memory, tuple[int, int]]:
        words = slots * self.tiles * self.planes
        return {
            Memory.SYNAPSE: (words * self.streams.generators, self.bank_lanes),
            Memory.POINTER: (axons, self.column_bits + 1),
            Memory.CONTROL: (
                1,
                LENGTH_BITS + TOLERANCE_BITS + (MARGIN_BITS if self.decides else 0),
            ),
        }

    @property
    def decides(self) -> bool:
        """The core is built with a margin; other cores have none, whatever is set at run time."""
        return self.streams.margin >= 0

    def control(self, log2_length: int, tolerance: int = -1, margin: int = -1) -> int:
        """The item of Memory.CONTROL. ValueError also for a margin in a core without one."""
        check_integer("log2_length", log2_length, 0, self.streams.source_bits)
        check_integer("tolerance", tolerance, -1, (1 << 32) - 1)
        check_integer("margin", margin, -1, 255)
        if margin >= 0 and not self.decides:
            raise ValueError(f"margin must be -1 in a core built without one, not {margin}")
        high = (margin + 1) << TOLERANCE_BITS | tolerance + 1
        return log2_length | high << LENGTH_BITS

    def update_cycles(self, slots: int) -> int:
        """Every tile active, streams of 2**S bits and, in an early termination, all chunks."""
        length = (1 << self.streams.source_bits) + self.streams.source_bits + 1
        return slots * (self.tiles * length + 2 * LATENCY)

    def check(self, core: CoreParams) -> None:
        need = self.streams.value_bits + 1 if self.streams.value_bits else 0
        if core.value_bits < need:
            raise ValueError(
                f"value_bits must be at least {need} for stochastic dendrites with "
                f"{self.streams.value_bits} bits of magnitude, not {core.value_bits}"
            )

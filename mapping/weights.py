"""All weights into one layer as integers: a common scale, and a power of two per connection.

The hardware sums (weight << exponent) * value of every connection into one accumulator, so their
scales may differ by powers of two only. Each connection is an effective real matrix per unit of
its source's integer value (w * payload_scale; spikes have payload_scale 1). The common scale is
taken from the connections' own best scales, divided by 1, 3, ... 15 (or more, where a connection's
integers are small for its width), whichever leaves the least sum of relative squared errors; so
grids whose scales are in a ratio of 2**k stay exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from hdl.params.errors import UserError
from mapping.graph import Connection
from mapping.report import WeightReport
from mapping.scales import ODD, SAMPLE, Flat, exact_scale, integer_range, integers, scales
from mapping.settings import Width, weight_width

__all__ = ["Incoming", "IntegerWeights", "common_scale", "lost_grids", "quantise_connection"]

#: Relative squared error below which integers count as exact (float32 rounding is near 1e-15).
EXACT = 1e-11
MOST_EXPONENT = 15
#: A neuron's own scale is not finer than the layer's by more than this: it would widen membranes.
FINEST = 2.0**-8


@dataclass(frozen=True, eq=False)
class Incoming:
    """A connection with its payload scale (one, or of each source neuron) and its weight width.

    guessed: the payload scale is a guess within a factor of 2 (a value that the layer itself, or
    a later one, sends back), so it has no say in the common scale but that it is fine enough.
    """

    connection: Connection
    payload: Any
    width: Width
    guessed: bool = False

    @property
    def name(self) -> str:
        return self.connection.node or f"{self.connection.source}->{self.connection.target}"

    def times(self, gain: np.ndarray) -> Incoming:
        """The connection with its rows times these gains [target size]."""
        if (gain == 1).all():
            return self
        matrix = sparse.csr_array(sparse.diags_array(gain) @ self.connection.matrix)
        return replace(self, connection=replace(self.connection, matrix=matrix))

    def of(self, sources: np.ndarray) -> Any:
        """The payload scale of these source neurons."""
        return self.payload[sources] if isinstance(self.payload, np.ndarray) else self.payload

    def flat(self) -> Flat:
        """Effective weights, grouped by target neuron."""
        matrix = sparse.coo_array(self.connection.matrix)
        keep = matrix.data != 0
        value = matrix.data[keep].astype(float) * self.of(matrix.coords[1][keep])
        bits, ternary = weight_width(self.width)
        if bits == 1 and len(value) < matrix.shape[0] * matrix.shape[1]:
            zeros = matrix.shape[0] * matrix.shape[1] - len(value)
            raise UserError(
                f"{self.name}: binary weights need a full matrix, but {zeros} weights are 0; "
                "use 'ternary' for it"
            )
        low, high = integer_range(bits, ternary)
        n = len(value)
        return Flat(
            value,
            matrix.coords[0][keep].astype(int),
            matrix.shape[0],
            np.full(n, float(low)),
            np.full(n, float(high)),
            bits == 1,
        )


def _layer(flat: Flat) -> Flat:
    return Flat(flat.value, np.zeros(len(flat.value), int), 1, flat.low, flat.high, flat.binary)


def _relative_error(flat: Flat, scale: np.ndarray) -> float:
    error = flat.value - integers(flat, scale) * scale[flat.group]
    energy = float((flat.value**2).sum())
    return float((error**2).sum()) / energy if energy else 0.0


def _best_exponent(flat: Flat, scale: np.ndarray, around: int, room: int) -> tuple[int, float]:
    """The power of two (may be negative) with the least relative error.

    room: how often the integers at `around` may be doubled.
    """
    tries = [around, *(around - i for i in range(1, max(room, 1) + 1)), around + 1]
    tried = [(_relative_error(flat, scale * 2.0**e), e) for e in tries]
    error, e = min(tried, key=lambda pair: pair[0])
    return e, error


def _room(flat: Flat, scale: float) -> int:
    """How many times larger the integers could be within their width."""
    if flat.binary:
        return 1
    k = np.rint(flat.value / scale)
    return max(int((np.where(k < 0, flat.low, flat.high) / np.where(k, k, 1)).min()), 1)


def _base(flats: list[Flat], clip: str) -> tuple[float, list[int]]:
    """Common scale of several connections (each as one group) and their exponents."""
    own = [float(scales(f, clip)[0][0]) for f in flats]
    if len(flats) == 1:
        return own[0], [0]
    probe = [
        f.take(np.linspace(0, len(f.value) - 1, SAMPLE // 8).astype(int))
        if len(f.value) > SAMPLE // 8
        else f
        for f in flats
    ]
    room = [_room(f, g) for f, g in zip(flats, own, strict=True)]
    # Grids of few steps, such as the 1 of a skip connection, have finer multiples to try.
    more = [(k, g) for r, g in zip(room, own, strict=True) for k in range(ODD[-1] + 2, r + 1, 2)]
    best, chosen, exponents = np.inf, own[0], [0] * len(flats)
    for base in [g / k for k, g in (*((k, g) for k in ODD for g in own), *more)]:
        pairs = [
            _best_exponent(f, np.array([base]), int(np.floor(np.log2(g / base) + 0.5)),
                           r.bit_length() - 1)
            for f, g, r in zip(probe, own, room, strict=True)
        ]  # fmt: skip
        error = sum(e for _, e in pairs)
        if error < best * 0.99:
            best, chosen, exponents = error, base, [e for e, _ in pairs]
        if best < EXACT:
            break
    least = max(min(exponents), max(exponents) - MOST_EXPONENT)
    return chosen * 2.0**least, [max(e - least, 0) for e in exponents]


def common_scale(
    incoming: list[Incoming],
    size: int,
    per_neuron: bool,
    comparable: bool,
    clip: str,
    finest: float,
) -> tuple[np.ndarray, list[int]]:
    """Scale per target neuron [size] and exponent per connection (guessed ones: meaningless).

    comparable: the membranes are read, so they need one scale. Otherwise, scales per neuron are
    also taken where the layer has no exact scale but every neuron has one (a trained grid times a
    gain per neuron). finest: guessed connections don't make the scale finer than this.
    """
    flats = [i.flat() for i in incoming]
    known = [len(f.value) > 0 and not i.guessed for f, i in zip(flats, incoming, strict=True)]
    if not any(known):
        known = [len(f.value) > 0 for f in flats]
    if not any(known):
        return np.ones(size), [0] * len(incoming)
    full = [f for f, use in zip(flats, known, strict=True) if use]
    base, found = _base([_layer(f) for f in full], clip)
    for f, use in zip(flats, known, strict=True):
        if not use and len(f.value):
            wanted = float(scales(_layer(f), clip)[0][0]) / 2
            finer = np.log2(base / max(wanted, finest))
            finer = int(np.clip(np.ceil(finer), 0, MOST_EXPONENT - max(found)))
            base, found = base * 2.0**-finer, [e + finer for e in found]
    exponents, at = [], iter(found)
    for use in known:
        exponents.append(next(at) if use else 0)
    common = np.full(size, base)
    worst = max(_relative_error(f, common * 2.0**e) for f, e in zip(full, found, strict=True))
    if comparable or worst < EXACT:
        return common, exponents
    rows = Flat(
        np.concatenate([f.value * 2.0**-e for f, e in zip(full, found, strict=True)]),
        np.concatenate([f.group for f in full]),
        size,
        np.concatenate([f.low for f in full]),
        np.concatenate([f.high for f in full]),
        all(f.binary for f in full),
    )
    used = np.bincount(rows.group, minlength=size) > 0
    if per_neuron:
        return _not_too_fine(np.where(used, scales(rows, clip)[0], base), base), exponents
    exact = _exact_rows(rows)
    if exact is None:
        return common, exponents
    return _not_too_fine(np.where(used, exact, base), base), exponents


def _not_too_fine(scale: np.ndarray, base: float) -> np.ndarray:
    """Scales below FINEST * base, doubled until they are not."""
    return scale * 2.0 ** np.maximum(np.ceil(np.log2(FINEST * base / scale)), 0)


def _exact_rows(rows: Flat) -> np.ndarray | None:
    """An exact scale for every neuron [size], or None."""
    order = np.argsort(rows.group, kind="stable")
    starts = np.searchsorted(rows.group[order], np.arange(rows.groups + 1))
    found = np.ones(rows.groups)
    for g in range(rows.groups):
        if starts[g] < starts[g + 1]:
            scale = exact_scale(rows.take(order[starts[g] : starts[g + 1]], one_group=True))
            if scale is None:
                return None
            found[g] = scale
    return found


def lost_grids(incoming: list[Incoming], weights: list[IntegerWeights]) -> list[str]:
    """Names of connections that have an exact integer grid, but not in the common scale.

    One and the same magnitude, as a skip connection has, is no grid that was trained.
    """
    lost = []
    for i, w in zip(incoming, weights, strict=True):
        several = len(np.unique(np.abs(i.connection.matrix.data))) > 1
        if several and not w.report.exact and exact_scale(_layer(i.flat())) is not None:
            lost.append(i.name)
    return lost


@dataclass(frozen=True, eq=False)
class IntegerWeights:
    """A connection in integers: matrix, csr int64 [target size, source size], without zeros.

    real: the matrix that the integers stand for, in the model's own units.
    """

    matrix: Any
    real: Any
    bits: int
    exponent: int
    report: WeightReport


def quantise_connection(
    incoming: Incoming, scale: np.ndarray, exponent: int | None
) -> IntegerWeights:
    """Integers for a given scale per target neuron [size]; exponent None: the best one."""
    c, flat = incoming.connection, incoming.flat()
    n = len(flat.value)
    if exponent is None:
        exponent = 0
        if n:
            tried = [(_relative_error(flat, scale * 2.0**e), e) for e in range(MOST_EXPONENT + 1)]
            exponent = min(tried)[1]
    grid = scale * 2.0**exponent
    k = integers(flat, grid)
    ideal = np.rint(flat.value / grid[flat.group])
    clipped = 0 if flat.binary else int(((ideal < flat.low) | (ideal > flat.high)).sum())
    error = _relative_error(flat, grid)
    exact = error < EXACT
    bits, _ = weight_width(incoming.width)
    if exact and bits > 2:
        top = max(k.max(initial=0), -k.min(initial=0) - 1, 1)
        bits = min(bits, int(top).bit_length() + 1)
    coords = sparse.coo_array(c.matrix)
    keep = coords.data != 0
    row, column = coords.coords[0][keep], coords.coords[1][keep]
    matrix = sparse.csr_array((k.astype(np.int64), (row, column)), shape=c.matrix.shape)
    matrix.eliminate_zeros()
    real = sparse.csr_array(
        (k * grid[flat.group] / incoming.of(column), (row, column)), shape=c.matrix.shape
    )
    report = WeightReport(
        node=incoming.name,
        source=c.source,
        target=c.target,
        bits=bits,
        scale=float(scale.min() / np.max(incoming.payload)),
        largest_scale=float(scale.max() / np.min(incoming.payload)),
        exponent=exponent,
        synapses=int(matrix.nnz),
        density=matrix.nnz / max(c.matrix.shape[0] * c.matrix.shape[1], 1),
        clipped=clipped,
        exact=exact,
        sqnr_db=None if exact or not n else float(-10 * np.log10(error)),
    )
    return IntegerWeights(matrix, real, bits, exponent, report)

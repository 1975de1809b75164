"""The quantiser of state-space layers and gates: formats and integers of hdl/params/ssm.

Poles. F fraction bits, the least that reach log2(1 / (1 - |a|)) + 4 for the layer's slowest pole
(so that its time constant is right to a few percent), within 8..17. Rounded to nearest; one that
would round onto or beyond the unit circle takes the nearest pair of integers inside.

States. State k counts in s[k] = payload * 2**(F - e[k]), `payload` the real value of a unit of its
input. e[k] is the largest at which S bits hold both MARGIN times the state's calibrated peak and
rms(u) / sqrt(1 - |a|**2), the state's deviation under white input of u's strength. The least e is
the layer's drive_shift; a state's gain is at most 7, so fast states may have bits to spare.

Mix. Integers with the unit U, mapping/coefficients.py.

The sum counts in U * 2**mix_shift, the finest at which MEMBRANE bits hold MARGIN times the
membrane. So do the products of a gate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdl.params.errors import UserError
from hdl.params.ssm.diagonal import GAIN_BITS, Diagonal
from hdl.params.ssm.gate import Gate
from mapping.coefficients import integer_words, mantissas
from mapping.formats import MARGIN, bits_needed, nearest, spread
from mapping.graph import Layer, Product, StateSpace
from mapping.ranges import LayerRange, StateRange
from mapping.report import StateReport
from mapping.settings import Quantisation, Width

__all__ = ["Decided", "Entering", "decide_gate", "decide_states", "pole_integers"]

#: Bits of a membrane beneath the last place of values.
GUARD = 4
#: Bits of a membrane of these layers, where settings leave it open.
MEMBRANE = 16
LEAST_POLE, MOST_POLE = 8, 17
MOST_SHIFT = 31
MOST_GAIN = (1 << GAIN_BITS) - 1


@dataclass(frozen=True, eq=False)
class Entering:
    """What a source sends into dendrites: payload, the real value of a unit of each neuron's value
    [size]; bits, the width of values; held, whether they come as changes.
    """

    payload: np.ndarray
    bits: int
    held: bool


@dataclass(frozen=True, eq=False)
class Decided:
    """What a layer's dendrites became. unit: real value of one unit of their sum [size].

    arrays: as Population.arrays. space: the real numbers that the integers stand for.
    """

    dendrites: Diagonal | Gate
    unit: np.ndarray
    arrays: dict[str, np.ndarray]
    space: StateSpace | None = None
    report: StateReport | None = None


def pole_integers(poles: np.ndarray, bits: int) -> np.ndarray:
    """Poles of |a| < 1 as integers of `bits` fraction bits [..., 2], inside the unit circle."""
    exact = np.stack([np.real(poles), np.imag(poles)], -1) * 2.0**bits
    whole = nearest(exact)
    inside = (whole**2).sum(-1) < 4.0**bits
    low = np.floor(exact)
    best = np.full(inside.shape, np.inf)
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        tried = low + corner
        off = ((tried - exact) ** 2).sum(-1)
        better = ~inside & (off < best) & ((tried**2).sum(-1) < 4.0**bits)
        whole[better], best[better] = tried[better], off[better]
    return whole.astype(np.int64)


def _pole_bits(
    names: tuple[str, ...], poles: np.ndarray, settings: Quantisation, notes: list[dict[str, str]]
) -> int:
    wanted = settings.choice("pole_bits", names)
    if wanted is not None:
        return int(wanted)
    need = int(np.ceil(-np.log2(1 - np.abs(poles).max()))) + 4
    if need > MOST_POLE:
        notes.append(
            {
                "node": names[0],
                "change": f"poles have {MOST_POLE} fraction bits where the slowest asks for {need}",
                "effect": "its time constant is not exact; a larger step makes poles faster",
            }
        )
    return min(max(need, LEAST_POLE), MOST_POLE)


def _state_units(
    name: str, poles: np.ndarray, payload: np.ndarray, seen: StateRange, bits: int, fraction: int,
    common: bool, notes: list[dict[str, str]],
) -> tuple[int, np.ndarray, np.ndarray]:  # fmt: skip
    """(drive_shift, gain [states], s [states]); payload [states]."""
    deviation = seen.input_rms / np.sqrt(1 - np.abs(poles) ** 2)
    need = np.maximum(MARGIN * seen.peak.max(1), deviation)
    alive = need > 0
    top = (1 << (bits - 1)) - 1
    with np.errstate(divide="ignore"):
        fine = np.floor(np.log2(payload * top / need))
    fine = np.where(alive, fine, fine[alive].min() if alive.any() else 0.0)
    if common:
        fine = np.rint(np.log2(payload / (payload * 2.0**-fine).max()))
    shift = (fine + fraction).astype(int)
    drive = int(np.clip(shift.min(), 0, MOST_SHIFT))
    if shift.min() < 0:
        notes.append(
            {
                "node": name,
                "change": f"states need {-shift.min()} more bits than the {bits} they have",
                "effect": "they saturate; allow more state_bits or more pole_bits",
            }
        )
    gain = np.clip(shift - drive, 0, MOST_GAIN)
    return drive, gain, payload * 2.0 ** (fraction - drive - gain)


def decide_states(
    layer: Layer, source: Entering, r: LayerRange, common: bool, width: Width, seed: int,
    names: tuple[str, ...], settings: Quantisation, notes: list[dict[str, str]],
) -> Decided:  # fmt: skip
    """A StateSpace layer in integers.

    source : its payload is equal within the pairs of complex states. common : all neurons' sums
    need one unit. width : of the coefficients. seed : added to the settings' seed. names : what
    settings may call the layer.
    """
    seen = r.states
    assert seen is not None
    space = layer.dendrites
    assert isinstance(space, StateSpace)
    mixed, real = space.mix is not None, space.real
    poles = np.asarray(space.poles, complex)
    order = poles.shape[1] if mixed else 1
    bits = int(settings.choice("state_bits", names))
    limit = settings.membrane_bits or 32
    if not mixed and limit < bits:
        raise UserError(
            f"{layer.name}: its states leave as neurons, so membrane_bits ({limit}) must be at "
            f"least state_bits ({bits}); change one of the settings"
        )
    fraction = _pole_bits(names, poles, settings, notes)
    whole = pole_integers(poles, fraction)
    flat = poles.reshape(-1)
    of_state = np.repeat(source.payload, order) if mixed else source.payload[:: 1 if real else 2]
    drive, gain, unit = _state_units(
        layer.name, flat, of_state, seen, bits, fraction, common and not mixed, notes
    )
    parts = 1 if real else 2
    arrays = {"pole": whole.reshape(-1, 2)[:, :parts].copy(), "gain": gain.astype(np.int64)}
    stored = (whole @ np.array([1, 1j])) / 2.0**fraction
    mix, mix_bits, mix_shift, sqnr = None, 2, 0, None
    total = np.repeat(unit, 1 if real or mixed else 2)
    if mixed:
        assert space.mix is not None
        given = np.stack([space.mix.real, space.mix.imag], -1)[..., :parts]
        s = unit.reshape(poles.shape)[..., None]
        wanted = mantissas(given, poles, width) * s
        words, one = integer_words(
            wanted, width, settings.payload_bits, float(source.payload.max())
        )
        reach = float(max(np.abs(bound).max() for bound in spread(layer, *r.membrane)))
        finest = reach * 2.0 ** (1 - (settings.membrane_bits or max(MEMBRANE, source.bits + GUARD)))
        if not words.any():
            one = finest or 1.0
        mix_shift = int(np.clip(np.ceil(np.log2(max(finest, one) / one) - 1e-9), 0, MOST_SHIFT))
        mix_bits = max(bits_needed(words.min(), words.max()), 2)
        total = np.full(layer.size, one * 2.0**mix_shift)
        arrays["mix"] = words.reshape(-1, parts)
        kept = words * (one / s)
        error = float(((kept - given) ** 2).sum())
        sqnr = float(10 * np.log10((given**2).sum() / error)) if error > 0 else None
        mix = kept[..., 0] + (1j * kept[..., 1] if parts == 2 else 0j)
    dendrites = Diagonal(
        order=order, mixed=mixed, real=real, held=source.held, state_bits=bits, pole_bits=fraction,
        mix_bits=mix_bits, drive_shift=drive, mix_shift=mix_shift, value_bits=source.bits,
        stochastic=settings.rounding == "stochastic", seed=(settings.state_seed + seed) % (1 << 32),
    )  # fmt: skip
    report = StateReport(
        states=flat.size,
        real=real,
        state_bits=bits,
        pole_bits=fraction,
        mix_bits=mix_bits if mixed else 0,
        slowest=float(np.abs(flat).max()),
        pole_error=float(np.abs(stored - poles).max()),
        least_unit=float(unit.min()),
        largest_unit=float(unit.max()),
        fullest=float((seen.peak.max(1) / (unit * 2.0 ** (bits - 1))).max()),
        mix_sqnr_db=sqnr,
    )
    return Decided(dendrites, total, arrays, StateSpace(poles=stored, mix=mix), report)


def decide_gate(
    layer: Layer, left: Entering, right: Entering, r: LayerRange, settings: Quantisation
) -> Decided:
    """A gate in integers."""
    one, bits = left.payload * right.payload, max(left.bits, right.bits)
    low, high = spread(layer, *r.membrane)
    top = 2.0 ** ((settings.membrane_bits or max(MEMBRANE, bits + GUARD)) - 1)
    ratio = float((np.maximum(-low, high) / one).max()) / top
    shift = int(np.clip(np.ceil(np.log2(ratio) - 1e-9), 0, MOST_SHIFT)) if ratio > 0 else 0
    product = layer.dendrites
    assert isinstance(product, Product)
    gate = Gate(
        shift=shift, value_bits=bits, held=left.held and right.held, stretch=product.stretch,
        repeats=product.repeats,
    )  # fmt: skip
    return Decided(gate, one * 2.0**shift, {})

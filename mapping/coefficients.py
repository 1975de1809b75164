"""The coefficients of state-space layers as integers.

With s[k] the unit of state k, w[k] = mix[k] * s[k] is what one unit of a state adds to the sum. A
neuron's coefficients are integers of weight_bits times one scale of the neuron (a trained grid is
kept exactly, see mapping/scales.py); feed-throughs (poles of 0) are a trained grid of the layer, or
keep weight_bits significant bits each. These numbers are stored in words of up to 18 bits with one
unit U for the layer. U is so small that what the words round off is 6 * GUARD dB below what
weight_bits rounded off of the weakest neuron that can still be seen among the emitted values. It is
a power of two times the payload, so that what goes round the layer (a residual path) meets it on
one grid.
"""

from __future__ import annotations

import numpy as np

from mapping.formats import nearest
from mapping.scales import Flat, integer_range, integers, scales
from mapping.settings import Width, weight_width

__all__ = ["integer_words", "mantissas"]

#: Bits beneath those of weights that words keep.
GUARD = 4
MOST_WORD = 18
#: A coefficient beneath this share of the layer's largest is what is left of a 0.
NOTHING = 2.0**-44


def mantissas(mix: np.ndarray, poles: np.ndarray, width: Width) -> np.ndarray:
    """The real coefficients that weight_bits keep; mix [size, order, parts]."""
    bits = max(weight_width(width)[0], 2)
    low, high = integer_range(bits, weight_width(width)[1])

    def rounded(value: np.ndarray, group: np.ndarray, groups: int) -> tuple[np.ndarray, bool]:
        keep = np.abs(value) > NOTHING * np.abs(value).max(initial=0.0)
        n = int(keep.sum())
        flat = Flat(
            value[keep], group[keep], groups, np.full(n, float(low)), np.full(n, float(high))
        )
        scale, exact = scales(flat)
        found = np.zeros(len(value))
        found[keep] = integers(flat, scale) * scale[flat.group]
        return found, bool(exact[np.unique(flat.group)].all())

    result = np.zeros(mix.shape)
    feed = np.broadcast_to((poles == 0)[..., None], mix.shape)
    neuron = np.broadcast_to(np.arange(len(mix))[:, None, None], mix.shape)
    result[~feed], _ = rounded(mix[~feed], neuron[~feed], len(mix))
    through = mix[feed]
    grid, exact = rounded(through, np.zeros(len(through), int), 1)
    if not exact:
        size = np.abs(through)
        unit = 2.0 ** np.ceil(np.log2(np.where(size > 0, size, 1) / (high + 0.5)))
        grid = nearest(through / unit) * unit
    result[feed] = grid
    return result


def integer_words(
    w: np.ndarray, width: Width, payload_bits: int, payload: float
) -> tuple[np.ndarray, float]:
    """(words of w [size, order, parts], their unit U, a power of two times payload)."""
    most = float(np.abs(w).max(initial=0.0))
    if not most:
        return np.zeros(w.shape, np.int64), 1.0
    count = np.maximum((w != 0).sum((1, 2)), 1)
    mean = np.sqrt((w**2).sum((1, 2)) / count)
    weakest = np.maximum(mean, mean.max() * 2.0 ** -(payload_bits + 2))[mean > 0].min()
    bits = max(weight_width(width)[0], 2)
    finest = np.ceil(np.log2(most / ((1 << (MOST_WORD - 1)) - 1) / payload))
    wanted = np.floor(np.log2(weakest * np.sqrt(12) * 2.0 ** -(bits + GUARD) / payload))
    unit = payload * 2.0 ** max(wanted, finest)
    return nearest(w / unit).astype(np.int64), unit

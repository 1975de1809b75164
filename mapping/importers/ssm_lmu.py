"""Legendre memory units, after hrshtv/pytorch-lmu (src/lmu.py; Voelker et al., NeurIPS 2019).

    u = e_x x + e_h h' + e_m m'        m = A m' + B u        h = tanh(W_x x + W_h h' + W_m m)

with h', m' of the step before; A and B are discrete already. The memory is mapped as states: with
A + B e_m = V diag(a) V^-1, of each pair of conjugate poles one is kept::

    s = a s' + V^-1 B (e_x x + e_h h')       m = sum of V s (real poles) and 2 Re(V s) (pairs)

V of a Legendre memory is ill-conditioned: a state is worth up to log2(condition) bits less than a
number of m is. More than MAX_CONDITION is refused.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mapping.importers.expression import Affine
from mapping.importers.ssm_draft import Draft
from mapping.importers.ssm_units import Unit

__all__ = ["MAX_CONDITION", "build_lmu"]

MAX_CONDITION = float(1 << 17)
"""As large as the widest state that the hardware holds (hdl/params/ssm/diagonal.py)."""

States = tuple[np.ndarray, np.ndarray, np.ndarray]


def _states(draft: Draft, unit: Unit) -> States:
    """(poles [P], gain [P, 1], weight [M, P]): m = Re(weight s)."""
    poles, vectors = np.linalg.eig(unit["A"] + unit["B"] @ unit["e_m"])
    draft.stable(unit, poles)
    condition, order = float(np.linalg.cond(vectors)), len(poles)
    if not condition <= MAX_CONDITION:
        draft.problems.append(
            f"'{unit.name}': the memory of order {order} has no usable diagonal form (condition "
            f"{condition:.3g}, at most {MAX_CONDITION:g}); train it with a smaller order"
        )
        return poles, poles[:, None], vectors
    draft.builder.note(
        unit.name,
        f"the memory's {order} numbers become {np.count_nonzero(poles.imag >= 0)} states",
        f"condition {condition:.3g}: up to {np.log2(condition):.1f} bits of the states are lost",
    )
    gain = np.linalg.solve(vectors, unit["B"].astype(np.complex128))
    kept = poles.imag >= 0
    weight = vectors[:, kept] * np.where(poles[kept].imag > 0, 2, 1)
    return poles[kept], gain[kept], weight


def _cell(draft: Draft, unit: Unit, states: States, x: Affine) -> Affine:
    b, name = draft.builder, unit.name
    poles, gain, weight = states
    x, past = b.plain(x), b.values(f"{name}.h", unit.sizes["H"], delay=1)
    u = x.times(f"{name}.e_x", unit["e_x"])
    u = u.plus(f"{name}.u", past.times(f"{name}.e_h", unit["e_h"]))
    memory = b.states(f"{name}.m", u, poles, gain)
    h = b.read(f"{name}.W_m", memory, unit["W_m"] @ weight)
    more = past.times(f"{name}.W_h", unit["W_h"])
    h = h.plus(f"{name}.h", x.times(f"{name}.W_x", unit["W_x"]), more)
    return b.function(f"{name}.h", h, "tanh")


def build_lmu(draft: Draft) -> tuple[str, str]:
    """(output layer, readout)."""
    pooling = draft.choose("pooling", "last")
    cells = draft.of_kind("lmu")
    encoder, decoder = draft.ends(cells[0].place, cells[-1].place)
    draft.rest = [u for u in draft.rest if u not in cells]
    draft.check()
    if encoder:
        draft.width(encoder, "O", cells[0].sizes["I"])
    for cell, after in pairwise(cells):
        draft.width(after, "I", cell.sizes["H"])
    if decoder:
        draft.width(decoder, "I", cells[-1].sizes["H"])
    draft.check()
    states = [_states(draft, cell) for cell in cells]
    draft.finish()
    x = draft.encode(encoder, cells[0].sizes["I"])
    for cell, found in zip(cells, states, strict=True):
        x = _cell(draft, cell, found, x)
    return draft.answer(decoder, x), pooling

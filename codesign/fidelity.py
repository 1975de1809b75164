"""How close the golden model's values are to the float model's, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hdl.params.neuron import Emit, sends_changes, sends_value

if TYPE_CHECKING:
    from mapping.program import Population

__all__ = ["Fidelity", "real_values"]


def real_values(p: Population, sent: np.ndarray) -> np.ndarray | None:
    """What emissions [samples, steps, size] of a population mean, None if it sends spikes.

    Changes (DELTA) are added up over the steps.
    """
    emit = p.fields["emit"]
    if not (sends_value(emit) | (emit == Emit.STATE)).all():
        return None
    change = np.asarray(sends_changes(emit))
    values = np.where(change, np.cumsum(sent, axis=1), sent) if change.any() else sent
    return values * p.emission_scale


class Fidelity:
    """Signal and error energies of layers over all that was added."""

    def __init__(self) -> None:
        self.signal: dict[str, float] = {}
        self.error: dict[str, float] = {}

    def add(self, name: str, golden: np.ndarray, real: np.ndarray, valid: np.ndarray) -> None:
        """Values [samples, steps, size] of both models; `valid` [samples, steps]."""
        right = real[valid].astype(np.float64)
        off = golden[valid] - right
        self.signal[name] = self.signal.get(name, 0.0) + float((right * right).sum())
        self.error[name] = self.error.get(name, 0.0) + float((off * off).sum())

    def sqnr_db(self) -> dict[str, float | None]:
        """10 log10(signal / error) by layer; None where there is no error, or no signal."""
        return {
            name: 10 * float(np.log10(self.signal[name] / error))
            if error and self.signal[name]
            else None
            for name, error in self.error.items()
        }

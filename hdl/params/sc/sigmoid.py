"""The sigmoid: Stanh with its output read as a unipolar number.

The circuit, its start and its law are those of `Tanh` (hdl/params/sc/fsm.py). A bipolar output y is
the unipolar number (1 + y) / 2, and (1 + tanh(u / 2)) / 2 = sigmoid(u), so with N = `states`::

    unipolar  y = r**(N/2) / (1 + r**(N/2)) = sigmoid(N * artanh(x)),   about sigmoid(N x)

for the bipolar input x: the gain is N. The approximation is off by half of what it is for tanh: by
at most .0274 (N = 4), .0065 (8), .0016 (16), .0004 (32). For i.i.d. bits, or an LFSR of
many steps a cycle, only (the table in hdl/params/sc/fsm.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.fsm import TanhParams

__all__ = ["SigmoidParams"]


@dataclass(frozen=True, kw_only=True)
class SigmoidParams(TanhParams):
    """sigmoid(states * artanh(x)), unipolar, of a bipolar stream x."""

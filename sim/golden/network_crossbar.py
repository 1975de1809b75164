"""What the golden network needs of crossbar populations: checked data, aged once.

An event that feeds a crossbar population is kept as the value of a row; the population's update
reads the banks (sim/golden/crossbar/product.py) and forgets the values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from mapping.program import Population, Program

if TYPE_CHECKING:
    from sim.golden.crossbar.product import Plan

__all__ = ["crossbar_bound", "crossbar_plan"]


def _sources(program: Program, p: Population) -> int:
    """Sources of a population, counted through its projections."""
    return sum(len(q.indptr) - 1 for q in program.projections if q.target == p.name)


def crossbar_bound(program: Program, p: Population) -> float:
    """Most that an input sum of a crossbar population can be; ValueError if its data are not what
    they must be, or a sum could leave 64 bits."""
    c, sources = p.dendrites, _sources(program, p)
    assert isinstance(c, Crossbar)
    wanted = c.data(p.size, sources)
    if set(p.arrays) != set(wanted):
        raise ValueError(f"{p.name}: arrays must be {', '.join(wanted)}")
    for name, (shape, low, high) in wanted.items():
        value = p.arrays[name]
        if value.shape != shape:
            raise ValueError(f"{p.name}: {name} must be of shape {shape}, not {value.shape}")
        if value.size and not low <= value.min() <= value.max() <= high:
            raise ValueError(f"{p.name}: {name} must be in {low}..{high}")
    code = (1 << c.adc_bits) - 1 if c.sampling == "none" else c.rows * c.train
    places = ((1 << c.value_bits) - 1 or 1) if c.input == "serial" else 1
    reads = 2.0 * c.tiles(sources) * places
    bound = reads * float(np.max(p.arrays["factor"], initial=0)) * c.width * code
    if bound >= 2.0**62:
        raise ValueError(f"{p.name}: a sum of codes could leave 64 bits")
    return bound / 2.0**c.fraction + 1


def crossbar_plan(program: Program) -> Plan:
    """All crossbar populations for the compiled loop, their devices aged."""
    from sim.golden.crossbar.product import Part, plan

    return plan(
        [
            Part(p.dendrites, p.arrays, p.size, _sources(program, p))
            for p in program.populations
            if isinstance(p.dendrites, Crossbar)
        ]
    )

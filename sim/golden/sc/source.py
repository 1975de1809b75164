"""The numbers of any number generator."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.counter import CounterParams
from hdl.params.sc.halton import HaltonParams
from hdl.params.sc.lfsr import LfsrParams
from hdl.params.sc.sobol import SobolParams
from hdl.params.sc.source import SourceParams
from sim.golden.sc.counter import CounterModel
from sim.golden.sc.halton import HaltonModel
from sim.golden.sc.lfsr import LfsrModel
from sim.golden.sc.sobol import SobolModel

__all__ = ["sequence"]

_MODELS: dict[type, type] = {
    LfsrParams: LfsrModel,
    SobolParams: SobolModel,
    HaltonParams: HaltonModel,
    CounterParams: CounterModel,
}


def sequence(params: SourceParams, length: int) -> np.ndarray:
    """The first `length` numbers, int64 [length]."""
    value: np.ndarray = _MODELS[type(params)](params).run(length)["value"]
    return value

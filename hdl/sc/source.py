"""The component of any number generator."""

from amaranth.lib import wiring

from hdl.params.sc.counter import CounterParams
from hdl.params.sc.halton import HaltonParams
from hdl.params.sc.lfsr import LfsrParams
from hdl.params.sc.sobol import SobolParams
from hdl.params.sc.source import SourceParams
from hdl.sc.counter import Counter
from hdl.sc.halton import Halton
from hdl.sc.lfsr import Lfsr
from hdl.sc.sobol import Sobol

__all__ = ["make_source"]

_COMPONENTS: dict[type, type] = {
    LfsrParams: Lfsr,
    SobolParams: Sobol,
    HaltonParams: Halton,
    CounterParams: Counter,
}


def make_source(params: SourceParams) -> wiring.Component:
    """The generator: `value` out, `en`, `clear`."""
    return _COMPONENTS[type(params)](params)

"""What sums the input of a core's neurons: the event-driven dendrites, and the choice of a kind."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hdl.crossbar.dendrites import CrossbarDendrites
from hdl.neuron.accumulate import Accumulators
from hdl.neuron.fetch import Fetch
from hdl.neuron.ports import ConfigPort, dendrites_signature
from hdl.params.crossbar.core import CrossbarParams
from hdl.params.neuron import CoreParams
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import DenseParams
from hdl.params.ssm.diagonal import DiagonalParams
from hdl.params.ssm.gate import GateParams
from hdl.sc.attention_dendrites import AttentionDendrites
from hdl.sc.dense import DenseDendrites
from hdl.ssm.diagonal import DiagonalDendrites
from hdl.ssm.gate import GateDendrites

__all__ = ["Dendrites", "dendrites_for"]


class Dendrites(wiring.Component):
    """Event-driven synapses: each event adds a row of weights (equation: hdl/params/neuron.py).

    `lanes` synapses a cycle; the sums are always there.

    Parameters
    ----------
    params : the core.
    config : signature of the configuration port.
    images : initial contents by Memory; missing ones are zero.

    Members: see `dendrites_signature`.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        self.params, self.config_signature, self.images = params, config, images
        super().__init__(dendrites_signature(params, config))

    def elaborate(self, platform):
        m = Module()
        m.submodules.fetch = fetch = Fetch(self.params, self.config_signature, self.images)
        m.submodules.accumulators = sums = Accumulators(self.params)
        connect(m, flipped(self.i), fetch.i)
        connect(m, flipped(self.config), fetch.config)
        m.d.comb += [
            fetch.run.eq(self.run),
            sums.word.eq(fetch.word),
            sums.valid.eq(fetch.valid),
            self.busy.eq(fetch.busy | sums.busy),
            self.ready.eq(1),
            sums.sweep.eq(self.take),
            sums.group.eq(self.group),
            sums.part.eq(self.part),
            self.sums.eq(sums.sums),
        ]
        return m


#: The component for each type of `CoreParams.dendrites`.
KINDS: dict[type, type] = {
    type(None): Dendrites,
    DenseParams: DenseDendrites,
    AttentionParams: AttentionDendrites,
    CrossbarParams: CrossbarDendrites,
    DiagonalParams: DiagonalDendrites,
    GateParams: GateDendrites,
}


def dendrites_for(params: CoreParams, config: ConfigPort, images=None) -> wiring.Component:
    """The dendrites of a core; all kinds have the same ports. TypeError for an unknown kind."""
    kind = KINDS.get(type(params.dendrites))
    if kind is None:
        raise TypeError(f"dendrites must be one of the known kinds, not {params.dendrites!r}")
    return kind(params, config, images)

"""The Graph: a model in floating point with its semantics fixed, as front ends deliver it.

Linear nodes (Affine, Linear, Scale, Flatten) are already folded into connections, so a Graph is
neuron layers and the real matrices between them. `mapping.reference` simulates it in float64;
`mapping.quantise` turns it into a Program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hdl.params.sc.attention import AttentionParams
from hdl.params.winners import Winners

__all__ = ["Connection", "Graph", "InputLayer", "Layer", "Options", "Product", "StateSpace"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What NIR leaves open, with the defaults that hold when nobody says otherwise.

    dt : seconds in a step. None: the front end's own rule (stated in the notes).
    scheme : "euler" (forward Euler: decay 1 - dt/tau, gain dt/tau) or "exponential"
        (decay exp(-dt/tau), gain 1 - exp(-dt/tau)).
    compare : ">" or ">=", membrane against threshold.
    reset : "v_reset" (membrane = v_reset; 0 where the model names none), "zero", "subtract"
        (membrane -= threshold, same step), "delayed" (snnTorch: subtract in the next step).
    recurrent_delay : steps that a recurrent edge takes, >= 1.
    force : accept dt/tau > 0.5.
    discretisation, pooling, nonlinearity, prenorm, residual : what the tensors of a state-space
        model don't tell (values: SETTINGS of mapping/importers/ssm_draft.py; `nonlinearity` is
        "activation" there); None: what the file says, or what the layer's own code does.
    """

    dt: float | None = None
    scheme: str = "euler"
    compare: str = ">"
    reset: str = "v_reset"
    recurrent_delay: int = 1
    force: bool = False
    discretisation: str | None = None
    pooling: str | None = None
    nonlinearity: str | None = None
    prenorm: str | None = None
    residual: str | None = None


@dataclass(frozen=True, kw_only=True)
class InputLayer:
    """An input of the model, flattened. `shape` is the model's own."""

    name: str
    size: int
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class StateSpace:
    """Dendrites that are a diagonal linear recurrence, already discrete. Arrays complex128.

    With u [size] the weighted input of the step::

        mix given:  x[n, i] = poles[n, i] * x[n, i] + u[n]
                    drive[n] = sum over i of Re(mix[n, i] * x[n, i])                x new
        mix None:   x[k] = poles[k] * x[k] + (u[2k] + j u[2k+1])           (size = 2 states)
                    drive[2k], drive[2k+1] = Re x[k], Im x[k]
        and real:   x[n] = poles[n] * x[n] + u[n], drive[n] = x[n]         (size = states)

    An input gain b is folded into mix, a feed-through D is a state with pole 0 and mix D, the
    factor 2 of conjugate pairs is inside mix. poles: [size, order] with mix, else [states];
    |poles| < 1. real: all poles (and mix) have imaginary part 0.
    """

    poles: np.ndarray
    mix: np.ndarray | None = None

    @property
    def real(self) -> bool:
        mixed = self.mix is not None and bool(self.mix.imag.any())
        return not (bool(self.poles.imag.any()) or mixed)


@dataclass(frozen=True)
class Product:
    """Dendrites that multiply: drive[n] = left[a] * right[b], the inputs at these ports.

    a = n % stretch if repeats else n, b = n // stretch (hdl/params/ssm/gate.py); one to one, that
    is a = b = n, unless they say otherwise.
    """

    stretch: int = 1
    repeats: bool = False

    def places(self, size: int) -> dict[str, np.ndarray]:
        """By port, which source feeds each neuron."""
        every = np.arange(size)
        left = every % self.stretch if self.repeats else every
        return {"left": left, "right": every // self.stretch}


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """Neurons with discrete-time float semantics. All arrays float64 [size].

    With x the weighted input of the step plus `bias_input` (already inside `bias`)::

        current  = current_decay * current + x        if has_current
        drive    = current if has_current else x
        late     = reset_value where reset == "delayed" and membrane > threshold
        membrane = membrane_decay * membrane + drive + bias - late
        spike    = membrane > threshold (or >=)       if spiking
        membrane = reset_value where spike            reset "set" (v_reset or 0)
                   membrane - reset_value             reset "subtract" (reset_value = threshold)

    The input gain of the node (r * dt/tau, w_in * dt/tau_syn, ...) is folded into the incoming
    connection matrices and into `bias`, so that membrane and threshold keep the model's units.
    `kind`: the model's node kind: LIF, LI, IF, I, CubaLIF, CubaLI, Threshold, or Linear (a
    layer without neurons whose values leave the chip: membrane_decay 0, not spiking).
    `level`: longest feed-forward path from an input (inputs are 0).
    activation: what the layer's value is a function of its membrane: "" (the membrane itself), a
    name of mapping/activations.py, or "layernorm" (over the whole layer, without gain and bias).
    winners: only these send, by the membrane after a reset (hdl/params/winners.py); the value of
    others is 0. apart: layers of one such name get cores of their own ("": they don't ask).
    `dendrites`: a StateSpace or Product: x is then its drive (above), `bias` is added behind it,
    kind is "SSM" or "Gate"; each input is one connection, the identity, from a layer (Gate: at port
    "left" or "right", spread as it says). Of an attention head (kind Attention) its parameters; x
    is then the head's answer to the spikes at its ports "query", "key" and "value"
    (mapping/attention.py), one connection each: the identity, from a layer of its own. None: x is
    the sum of the connections.
    """

    name: str
    kind: str
    size: int
    shape: tuple[int, ...]
    level: int
    spiking: bool
    has_current: bool
    membrane_decay: np.ndarray
    current_decay: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    reset: str  # "set", "subtract", "delayed"
    reset_value: np.ndarray
    compare: str = ">"
    activation: str = ""
    dendrites: AttentionParams | StateSpace | Product | None = None
    winners: Winners | None = None
    apart: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Connection:
    """source values @ matrix.T is the input of the target.

    matrix: scipy.sparse.csr_array, float64 [target size, source size].
    delay: 0 within the step (feed-forward), >= 1 steps later (recurrent).
    node: the linear node(s) it came from, joined by "+".
    port: of a target with attention dendrites, "query", "key" or "value"; "" otherwise.
    """

    source: str
    target: str
    matrix: Any
    delay: int = 0
    node: str = ""
    port: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A model: inputs, layers by ascending level, connections, and which layers are outputs.

    nodes: one record per node of the source model for `inspect`:
        {"name", "kind", "shape", "status": "mapped"|"folded"|"unsupported", "reason"}.
    notes: what was repaired or assumed: {"node", "change", "effect"}.
    readout: how the model reads its decision (mapping/program.py), None: by the quantiser's rule.
    """

    name: str
    inputs: tuple[InputLayer, ...]
    layers: tuple[Layer, ...]
    connections: tuple[Connection, ...]
    outputs: tuple[str, ...]
    options: Options
    nodes: tuple[dict[str, Any], ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    notes: tuple[dict[str, str], ...] = field(default=())
    readout: str | None = None

    @property
    def random(self) -> frozenset[str]:
        """Layers whose spikes depend on draws: attention heads and all that listens to them."""
        heads = (layer for layer in self.layers if isinstance(layer.dendrites, AttentionParams))
        found = {layer.name for layer in heads}
        while True:
            new = {c.target for c in self.connections if c.source in found} - found
            if not new:
                return frozenset(found)
            found |= new

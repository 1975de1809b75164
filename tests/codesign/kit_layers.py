"""Networks put onto devices as the compiler does it, without Verilog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from codesign.crossbar.program import program_crossbars
from codesign.crossbar.record import LayerOnDevices
from codesign.crossbar.settings import Crossbars
from codesign.settings import load_settings
from hdl.params.neuron import Emit
from mapping.importers.load import load_graph
from mapping.program import Formats, Input, Program
from mapping.quantise import quantise
from mapping.settings import Quantisation
from sim.stimulus import quantise_inputs, read_stimulus
from tests.kit_fabric import all_to_all, population

__all__ = ["EXACT", "MINE", "OnDevices", "example", "layer", "on_devices"]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
#: Devices and converters that add as little error as the formats allow.
EXACT: dict[str, Any] = {"device": "ideal", "cell_bits": 12, "adc_bits": 16}
#: A table of devices of one's own.
MINE = """
[mine]
source = "nobody <measured> it"
kind = "write"
g_max = 20.0
t_0 = 30.0
t_read = 1e-7
write_sigma = 0.8
drift_mean = 0.06
drift_sigma = 0.01
read_sigma = { law = "power", factor = 0.01, exponent = -0.5, high = 0.3 }
"""


@dataclass(frozen=True)
class OnDevices:
    """A Program without and with devices, and the input that set the converters' ranges."""

    exact: Program
    program: Program
    records: list[LayerOnDevices]
    crossbars: Crossbars
    events: np.ndarray
    lengths: np.ndarray | None = None
    labels: np.ndarray | None = None


def on_devices(
    exact: Program, events: np.ndarray, lengths: np.ndarray | None = None, **crossbars: Any
) -> OnDevices:
    """All populations on crossbars with these settings."""
    chosen, graph = Crossbars(**crossbars), SimpleNamespace(connections=())
    settings = Quantisation(engine="crossbar")
    program, records = program_crossbars(exact, graph, settings, chosen, events, lengths)
    return OnDevices(exact, program, records, chosen, events, lengths)


def layer(weights: np.ndarray, *, payload_bits: int = 0) -> Program:
    """One layer whose outputs are its input sums; its inputs are graded with payload bits."""
    formats = Formats(membrane_bits=28, payload_bits=payload_bits)
    out = population("out", weights.shape[1], 1, formats)
    out.fields["emit"][:] = Emit.STATE
    out.fields["membrane_decay"][:] = 0
    return Program(
        name="layer",
        formats=formats,
        inputs=(Input(name="in", size=len(weights), graded=bool(payload_bits)),),
        populations=(out,),
        projections=(all_to_all("in", "out", weights, bits=8),),
        outputs=("out",),
    )


def example(name: str, samples: int, **crossbars: Any) -> OnDevices:
    """A shipped example on crossbars, with its first test samples."""
    settings = load_settings(EXAMPLES / name / "nervure.toml")
    graph = load_graph(EXAMPLES / name / f"{name}.nir", settings.options)
    given = read_stimulus(settings.calibration)
    exact, _ = quantise(graph, given.inputs, settings.quantisation, lengths=given.lengths)
    test = read_stimulus(EXAMPLES / name / "test.npz")
    events, lengths = quantise_inputs(exact, test)[:samples], test.lengths[:samples]
    made = on_devices(exact, events, lengths, **crossbars)
    return OnDevices(
        exact, made.program, made.records, made.crossbars, events, lengths, test.labels[:samples]
    )

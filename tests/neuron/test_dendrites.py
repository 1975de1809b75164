"""Which dendrites a core may have."""

import re
from dataclasses import dataclass, replace

import pytest

from hdl.neuron.dendrites import dendrites_for
from hdl.neuron.ports import ConfigPort
from hdl.params.dendrites import DendritesParams, Memory
from hdl.params.neuron import CoreParams, Range
from hdl.params.sc.dense import DenseParams, Streams

DENSE = DenseParams(
    streams=Streams(weight_bits=3, source_bits=3, log2_length=2, generators=2), columns=12, lanes=4
)
VALUES = DenseParams(
    streams=Streams(weight_bits=3, value_bits=4, source_bits=7, log2_length=5), columns=12, lanes=4
)


def core(**change):
    fields = {
        "slots": 4, "ranges": (Range(level=0, first=0, end=4),), "axons": 5, "dendrites": DENSE,
        "levels": 2,
    }  # fmt: skip
    return CoreParams(**fields | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lanes": 2}, "lanes must be 1 and index 'none' with dendrites DenseParams, not 2 and"),
        ({"index": "lane"}, "index 'none' with dendrites DenseParams, not 1 and 'lane'"),
        (
            {"ranges": (Range(level=0, first=0, end=2), Range(level=1, first=2, end=4))},
            "all ranges must have one level with dendrites DenseParams",
        ),
        (
            {"ranges": (Range(level=0, first=0, end=3),)},
            "the ranges must cover all 4 slots with dendrites DenseParams",
        ),
        (
            {"dendrites": VALUES, "value_bits": 4},
            "value_bits must be at least 5 for stochastic dendrites with 4 bits of magnitude",
        ),
    ],
)
def test_what_does_not_fit(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        core(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lanes": 3}, "lanes must be a power of two, not 3"),
        ({"lanes": 1}, "lanes must be at least generators (2), not 1"),
        ({"columns": 10}, "columns must be a multiple of 4, not 10"),
    ],
)
def test_wrong_sizes(change, message):
    fields = {"streams": DENSE.streams, "columns": 12, "lanes": 4} | change
    with pytest.raises(ValueError, match=re.escape(message)):
        DenseParams(**fields)


def test_control_word():
    """log2_length in 5 bits, tolerance + 1 and margin + 1 above."""
    assert DENSE.control(3) == 3
    assert VALUES.control(6, 0) == 6 | 1 << 5
    with pytest.raises(ValueError, match=r"log2_length must be in 0\.\.3, not 4"):
        DENSE.control(4)
    with pytest.raises(ValueError, match=r"tolerance must be in -1\.\.4294967295, not -2"):
        DENSE.control(3, -2)
    with pytest.raises(ValueError, match="margin must be -1 in a core built without one, not 0"):
        DENSE.control(3, margin=0)
    decides = replace(DENSE, streams=replace(DENSE.streams, margin=0))
    assert decides.control(3, 1, 7) == 3 | 2 << 5 | 8 << 38
    assert decides.items(4, 5)[Memory.CONTROL] == (1, 47)
    with pytest.raises(ValueError, match=r"margin must be in -1\.\.255, not 256"):
        decides.control(3, margin=256)
    with pytest.raises(ValueError, match=r"margin must be in -1\.\.255, not -2"):
        replace(DENSE.streams, margin=-2)


def test_items():
    """Slots x tiles x planes x banks of weights; what the network interface and mapper see."""
    assert core().items == {
        Memory.SYNAPSE: (4 * 3 * 5 * 2, 2),
        Memory.POINTER: (5, 4 + 1),
        Memory.CONTROL: (1, 38),
        Memory.PARAMETER: (4, core().record_bits),
    }
    event = core(dendrites=None, synapse_words=20)
    assert event.items[Memory.SYNAPSE] == (20, 8)
    assert core().update_cycles > event.update_cycles


def test_unknown_dendrites():
    @dataclass(frozen=True)
    class Other(DendritesParams):
        def items(self, slots, axons):
            return {}

        def check(self, core):
            pass

    params = core(dendrites=Other())
    with pytest.raises(TypeError, match=r"dendrites must be one of the known kinds, not .*Other"):
        dendrites_for(params, ConfigPort(8, 8))

"""A unit's RTL against its twin, bit for bit, in Verilator, with stalls and clears.

Example::

    check(LfsrParams(width=8), Lfsr, LfsrModel, length=600)
    check(MultiplyParams(), Multiply, MultiplyModel, {"a": pack(a), "b": pack(b)}, length=256)
    check_many([(LfsrParams(width=w), Lfsr, LfsrModel) for w in range(3, 33)], length=600)

`check_many` takes several units and compiles them together: a build costs about a second.

All batch axes of the inputs are flattened into runs; runs follow one another in one simulation,
each after a clear that falls into a cycle with random `en`.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from codesign.sc.emit import random_inputs
from hdl.emit import emit_verilog
from hdl.params.sc.unit import Port, UnitParams
from hdl.sc.unit import unit_signature
from sim.golden.sc.packed import unpack
from sim.verilated import Verilated, VerilatedModel

__all__ = ["build", "check", "check_many", "random_inputs", "run_rtl"]


class Bench(wiring.Component):
    """A unit between two streams: each word taken is an enabled cycle, or a clear.

    `i`: clear in bit 0, then the inputs in order; `o`: the outputs in order, for each word taken.
    """

    def __init__(self, unit: wiring.Component, params: UnitParams):
        self.unit, self.params = unit, params
        self.inputs = [p for p in params.ports if p.direction == "in"]
        self.outputs = [p for p in params.ports if p.direction == "out"]
        width = 1 + sum(p.bits for p in self.inputs)
        super().__init__(
            {
                "i": In(stream.Signature(width)),
                "o": Out(stream.Signature(sum(p.bits for p in self.outputs))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.unit
        taken = self.i.valid & self.i.ready
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        clear, at = self.i.payload[0], 1
        for port in self.inputs:
            m.d.comb += getattr(unit, port.name).eq(self.i.payload[at : at + port.bits])
            at += port.bits
        if self.params.sequential:
            # A clear counts whatever `en`: here `en` is one of the input bits, or low.
            other = self.i.payload[-1] if self.inputs else 0
            m.d.comb += [
                unit.clear.eq(taken & clear),
                unit.en.eq(taken & (~clear | other)),
            ]
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        with m.If(taken):
            m.d.sync += self.o.payload.eq(Cat(getattr(unit, p.name) for p in self.outputs))
        return m


def build(params: UnitParams, component: type) -> Verilated:
    """The unit in its bench, compiled (cached by content)."""
    top = Bench(component(params), params)
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for name, text in emit_verilog(top, "bench").items():
            path = Path(folder) / name
            path.write_text(text)
            sources.append(path)
        verilog = [path for path in sources if path.suffix == ".v"]
        data = [path for path in sources if path.suffix != ".v"]
        return Verilated.build(verilog, "bench", optimise=False, data_files=data)


def _cycles(port: Port, value: np.ndarray, runs: int, length: int) -> np.ndarray:
    """An input as one integer a cycle [runs, length]."""
    if port.kind == "bit":
        return unpack(value, length).reshape(runs, length).astype(np.int64)
    value = np.asarray(value, dtype=np.int64)
    if port.kind == "held":
        return np.broadcast_to(value.reshape(runs, 1), (runs, length))
    return value.reshape(runs, length)


def run_rtl(
    model: VerilatedModel,
    params: UnitParams,
    inputs: dict[str, np.ndarray],
    runs: int,
    length: int,
    *,
    stall: float = 0.0,
    seed: int = 1,
) -> dict[str, np.ndarray]:
    """The outputs of the RTL, int64 [runs, length] for each output port."""
    total = 1 + length + params.latency
    ports = [p for p in params.ports if p.direction == "in"]
    words = np.zeros((runs, total), dtype=object if _width(ports) > 63 else np.uint64)
    words[:, 0] = 1
    at = 1
    rng = np.random.default_rng(seed)
    for port in ports:
        values = np.zeros((runs, total), dtype=np.int64)
        values[:, 1 : 1 + length] = _cycles(port, inputs[port.name], runs, length)
        # What comes with the clear, and after the end, must not matter.
        low, high = port.range
        values[:, :1] = rng.integers(low, high + 1, (runs, 1))
        if port.kind == "held":
            values[:, 1 + length :] = values[:, length : 1 + length] if length else 0
        values &= (1 << port.bits) - 1 if port.bits < 64 else -1
        words |= values.astype(words.dtype) << (at if words.dtype == object else np.uint64(at))
        at += port.bits
    got = model.stream(
        words.reshape(-1), until=words.size, stall_in=stall, stall_out=stall, seed=seed
    ).words_out
    whole = got[:, 0].astype(object)
    for limb in range(1, got.shape[1]):
        whole = whole | (got[:, limb].astype(object) << (64 * limb))
    whole = whole.reshape(runs, total)[:, 1 + params.latency :]
    out, at = {}, 0
    for port in params.ports:
        if port.direction != "out":
            continue
        value = ((whole >> at) & ((1 << port.bits) - 1)).astype(np.int64)
        if port.signed:
            value -= (value >> (port.bits - 1)) << port.bits
        out[port.name] = value
        at += port.bits
    return out


def _width(ports: list[Port]) -> int:
    return 1 + sum(p.bits for p in ports)


def check(
    params: UnitParams,
    component: type,
    twin: type,
    inputs: dict[str, np.ndarray] | None = None,
    *,
    length: int,
    stall: float = 0.2,
    seed: int = 1,
) -> dict[str, np.ndarray]:
    """Runs both and compares every bit of every output; returns the twin's outputs.

    The twin is called as `twin(params).run(length, **inputs)`; its outputs may lack the batch axes
    if they don't depend on the inputs. Without inputs there are 3 equal runs.
    """
    inputs = inputs or {}
    batch = next(
        (v.shape if p.kind == "held" else v.shape[:-1])
        for p, v in ((p, np.asarray(inputs[p.name])) for p in params.ports if p.name in inputs)
    ) if inputs else (3,)  # fmt: skip
    runs = reduce(mul, batch, 1)
    expected = twin(params).run(length, **inputs)
    with build(params, component).new() as model:
        model.reset()
        got = run_rtl(model, params, inputs, runs, length, stall=stall, seed=seed)
    ports = {p.name: p for p in params.ports}
    assert set(expected) == set(got), (set(expected), set(got))
    for name, values in got.items():
        value: Any = expected[name]
        if ports[name].kind == "bit":
            value = unpack(value, length)
        value = np.broadcast_to(np.asarray(value, dtype=np.int64), (*batch, length))
        wrong = np.argwhere(value.reshape(runs, length) != values)
        if len(wrong):
            run, t = wrong[0]
            given = {
                k: (np.asarray(v).reshape(runs, -1)[run]).tolist()[:8] for k, v in inputs.items()
            }
            raise AssertionError(
                f"{component.__name__}({params}): {len(wrong)} of {values.size} differ; first: "
                f"{name} of run {run}, cycle {t} (seed {seed}, inputs {given}): "
                f"twin {value.reshape(runs, length)[run, t]}, RTL {values[run, t]}"
            )
    return expected


class Rack(wiring.Component):
    """Units side by side, on one `en` and one `clear`; unit n's ports are named u<n>_<port>."""

    def __init__(self, params: "RackParams"):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        for n, (params, component, _) in enumerate(self.params.units):
            m.submodules[f"u{n}"] = unit = component(params)
            if params.sequential:
                m.d.comb += [unit.en.eq(self.en), unit.clear.eq(self.clear)]
            for port in params.ports:
                inner, outer = getattr(unit, port.name), getattr(self, f"u{n}_{port.name}")
                m.d.comb += inner.eq(outer) if port.direction == "in" else outer.eq(inner)
        return m


class RackParams(UnitParams):
    def __init__(self, units: Sequence[tuple[UnitParams, type, type]]) -> None:
        self.units = units
        self.latency = units[0][0].latency
        if any(params.latency != self.latency for params, _, _ in units):
            raise ValueError("units side by side must have the same latency")

    def __repr__(self) -> str:
        return ", ".join(f"u{n} = {unit[0]}" for n, unit in enumerate(self.units))

    @property
    def ports(self) -> tuple[Port, ...]:
        return tuple(
            replace(port, name=f"u{n}_{port.name}")
            for n, (params, _, _) in enumerate(self.units)
            for port in params.ports
        )


class RackModel:
    def __init__(self, params: RackParams) -> None:
        self.params = params

    def run(self, length: int, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Each unit's outputs, under the names of the rack's ports."""
        outputs = {}
        for n, (params, _, twin) in enumerate(self.params.units):
            prefix = f"u{n}_"
            given = {k.removeprefix(prefix): v for k, v in inputs.items() if k.startswith(prefix)}
            for name, value in twin(params).run(length, **given).items():
                outputs[prefix + name] = value
        return outputs


def check_many(
    units: Sequence[tuple[UnitParams, type, type]],
    inputs: dict[str, np.ndarray] | None = None,
    *,
    length: int,
    stall: float = 0.2,
    seed: int = 1,
) -> dict[str, np.ndarray]:
    """`check` of several (params, component, twin) with one build; the latencies must be equal.

    The ports of unit n, and so the inputs and what is returned, are named u<n>_<port>. All inputs
    have the same batch axes.
    """
    return check(RackParams(units), Rack, RackModel, inputs, length=length, stall=stall, seed=seed)

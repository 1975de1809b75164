"""Make the traces that anchor mapping.reference outside our code, from snnTorch and Norse.

    python tests/vectors/make_oracles.py         (needs the extra `oracles`)

Writes beside itself, for each case, `<case>.nir` (the model) and `<case>.npz` with
`inputs` [steps, 12] and one [steps, n] array of spikes for each layer. Deterministic: the seed of a
case is in CASES. Nets are 12-38-7; layer "lif1" feeds itself in the recurrent cases, one step late.
The frameworks compute in float32, so a membrane within about 1e-6 of its threshold may fall on the
other side in float64. Seeds are the first from 0 on; none was left out for that reason.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (12, 38, 7)
STEPS = 256
RATE = 0.15


@dataclass(frozen=True)
class Case:
    """run(rng) -> (nir nodes, edges, inputs, spikes by layer); options: those that match it."""

    package: str
    run: Callable[[np.random.Generator], tuple]
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    old_file: bool = False


@dataclass(frozen=True)
class Net:
    """Float32 weights and biases; `back` is the recurrent matrix of the first layer."""

    w1: np.ndarray
    b1: np.ndarray
    back: np.ndarray
    w2: np.ndarray
    b2: np.ndarray


def make_net(rng: np.random.Generator, gain: float, recurrent: bool) -> Net:
    """Random weights that keep a layer of unit threshold active."""
    n0, n1, n2 = SIZES

    def normal(scale: float, *shape: int) -> np.ndarray:
        return rng.normal(0.0, scale, shape).astype(np.float32)

    back = normal(0.35 * gain, n1, n1) if recurrent else np.zeros((n1, n1), np.float32)
    return Net(
        normal(gain, n1, n0) + np.float32(0.1 * gain),
        normal(0.05 * gain, n1),
        back,
        normal(0.5 * gain, n2, n1),
        normal(0.05 * gain, n2),
    )


def make_inputs(rng: np.random.Generator) -> np.ndarray:
    """Bernoulli spikes."""
    return rng.random((STEPS, SIZES[0])) < RATE


def run_net(net: Net, cells: list, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Step two cells; a cell is a function (x, state) -> (spikes, state)."""
    import torch

    w1, b1, back, w2, b2 = (torch.from_numpy(a) for a in (net.w1, net.b1, net.back, net.w2, net.b2))
    first = torch.zeros(1, SIZES[1])
    states: list = [None, None]
    trace: dict[str, list] = {"lif1": [], "lif2": []}
    with torch.no_grad():
        for row in torch.from_numpy(inputs.astype(np.float32)):
            x = row[None] @ w1.T + b1 + first @ back.T
            first, states[0] = cells[0](x, states[0])
            second, states[1] = cells[1](first @ w2.T + b2, states[1])
            trace["lif1"].append(first[0].numpy() > 0)
            trace["lif2"].append(second[0].numpy() > 0)
    return {name: np.array(rows) for name, rows in trace.items()}


def make_graph(net: Net, lif1: Any, lif2: Any, recurrent: bool) -> tuple[dict, list]:
    """NIR nodes and edges of the net."""
    import nir

    nodes = {
        "input": nir.Input({"input": np.array([SIZES[0]])}),
        "fc1": nir.Affine(net.w1, net.b1),
        "lif1": lif1,
        "fc2": nir.Affine(net.w2, net.b2),
        "lif2": lif2,
        "output": nir.Output({"output": np.array([SIZES[2]])}),
    }
    chain = ["input", "fc1", "lif1", "fc2", "lif2", "output"]
    edges = list(itertools.pairwise(chain))
    if recurrent:
        nodes["lif1.w_rec"] = nir.Linear(net.back)
        edges += [("lif1", "lif1.w_rec"), ("lif1.w_rec", "lif1")]
    return nodes, edges


def snntorch_synaptic(rng: np.random.Generator) -> tuple:
    """Synaptic, reset to zero in the same step, recurrent; dt 1e-4 as snnTorch assumes."""
    import nir
    import snntorch

    net, inputs, dt = make_net(rng, 0.22, True), make_inputs(rng), 1e-4
    alpha, beta = np.float32(0.6), np.float32(0.85)
    cells, nodes = [], []
    for size in SIZES[1:]:
        cell = snntorch.Synaptic(
            alpha=float(alpha), beta=float(beta), reset_mechanism="zero", reset_delay=False
        )

        def step(x: Any, state: Any, cell: Any = cell) -> tuple:
            spikes, *state = cell(x, *(state or cell.reset_mem()))
            return spikes, state

        cells.append(step)
        one = np.ones(size)
        tau_syn, tau_mem = (one * (dt / (1 - float(d))) for d in (alpha, beta))
        nodes.append(
            nir.CubaLIF(
                tau_syn=tau_syn,
                tau_mem=tau_mem,
                r=tau_mem / dt,
                v_leak=0 * one,
                v_threshold=one,
                w_in=tau_syn / dt,
            )
        )
    return (*make_graph(net, *nodes, True), inputs, run_net(net, cells, inputs))


def snntorch_leaky(rng: np.random.Generator, reset: str) -> tuple:
    """Leaky with its default, delayed reset; feed-forward."""
    import nir
    import snntorch

    net, inputs, dt = make_net(rng, 0.6, False), make_inputs(rng), 1e-4
    beta = np.float32(0.9)
    cells, nodes = [], []
    for size in SIZES[1:]:
        cell = snntorch.Leaky(beta=float(beta), reset_mechanism=reset)

        def step(x: Any, state: Any, cell: Any = cell) -> tuple:
            return cell(x, cell.reset_mem() if state is None else state)

        cells.append(step)
        one = np.ones(size)
        tau = one * (dt / (1 - float(beta)))
        nodes.append(nir.LIF(tau=tau, r=tau / dt, v_leak=0 * one, v_threshold=one))
    return (*make_graph(net, *nodes, False), inputs, run_net(net, cells, inputs))


def norse_lif(rng: np.random.Generator) -> tuple:
    """LIFBoxCell, recurrent, every parameter its own value in each neuron, reset to v_reset.

    Norse starts a membrane at v_leak, Nervure (as snnTorch) at 0: Norse is given the state 0.
    """
    import nir
    import torch
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState
    from norse.torch.module.lif_box import LIFBoxCell, LIFBoxParameters

    net, inputs, dt = make_net(rng, 3.0, True), make_inputs(rng), 1e-3
    cells, nodes = [], []
    for size in SIZES[1:]:
        tau = rng.uniform(4e-3, 2e-2, size).astype(np.float32)
        leak, threshold, reset = (
            rng.uniform(low, high, size).astype(np.float32)
            for low, high in ((-0.1, 0.2), (0.6, 1.2), (-0.3, 0.1))
        )
        inverse = torch.from_numpy(1 / tau)
        p = LIFBoxParameters(inverse, *(torch.from_numpy(a) for a in (leak, threshold, reset)))
        rest = LIFBoxFeedForwardState(v=torch.zeros(1, size))

        cell = LIFBoxCell(p, dt=dt)

        def step(x: Any, state: Any, cell: Any = cell, rest: Any = rest) -> tuple:
            return cell(x, rest if state is None else state)

        cells.append(step)
        tau = 1 / inverse.double().numpy()
        nodes.append(
            nir.LIF(tau=tau, r=np.ones(size), v_leak=leak, v_threshold=threshold, v_reset=reset)
        )
    return (*make_graph(net, *nodes, True), inputs, run_net(net, cells, inputs))


def norse_cubalif(rng: np.random.Generator) -> tuple:
    """Norse's own NIR import of CubaLIF, recurrent, some w_in negative, reset by subtraction."""
    import nir
    from norse.torch.functional.reset import reset_subtract
    from norse.torch.utils.import_nir import _import_norse_module

    net, inputs = make_net(rng, 1.5, True), make_inputs(rng)
    cells, nodes = [], []
    for size in SIZES[1:]:
        tau_syn, tau_mem, r, w_in, threshold = (
            rng.uniform(low, high, size).astype(np.float32)
            for low, high in ((3e-3, 8e-3), (5e-3, 2e-2), (2, 5), (0.5, 1.5), (0.7, 1.2))
        )
        w_in *= rng.choice(np.array([1, 1, 1, -1], np.float32), size)
        zero = np.zeros(size, np.float32)
        node = nir.CubaLIF(tau_syn, tau_mem, r, zero, threshold, zero, w_in)
        cells.append(_import_norse_module(node, True, reset_method=reset_subtract, dt=1e-3).forward)
        nodes.append(node)
    return (*make_graph(net, *nodes, True), inputs, run_net(net, cells, inputs))


CASES = {
    "snntorch_synaptic": Case("snntorch", snntorch_synaptic, {}, old_file=True),
    "snntorch_leaky_subtract": Case(
        "snntorch", lambda rng: snntorch_leaky(rng, "subtract"), {"reset": "delayed"}
    ),
    "snntorch_leaky_zero": Case(
        "snntorch", lambda rng: snntorch_leaky(rng, "zero"), {"reset": "zero"}
    ),
    "norse_lif": Case("norse", norse_lif, {"dt": 1e-3}),
    "norse_cubalif": Case("norse", norse_cubalif, {"dt": 1e-3, "reset": "subtract"}),
}


def make(case: Case, seed: int, model: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Run the framework, write the model file; inputs and spikes."""
    import h5py
    import nir

    nodes, edges, inputs, spikes = case.run(np.random.default_rng(seed))
    nir.write(model, nir.NIRGraph(nodes, edges, type_check=False), compression=None)
    if case.old_file:  # as nir 1.0.4 wrote it: CubaLIF without v_reset
        with h5py.File(model, "r+") as file:
            del file["version"]
            file.create_dataset("version", data="1.0.4", dtype=h5py.string_dtype())
            for node in file["node/nodes"].values():
                if "v_reset" in node:
                    del node["v_reset"]
    return inputs, spikes


def main() -> None:
    """Write all vectors."""
    here = Path(__file__).parent
    for name, case in CASES.items():
        part = here / f"{name}.part.nir"
        inputs, spikes = make(case, case.seed, part)
        os.replace(part, here / f"{name}.nir")
        np.savez_compressed(here / f"{name}.npz", inputs=inputs, **spikes)
        rates = {layer: f"{raster.mean():.3f}" for layer, raster in spikes.items()}
        print(f"{name}: spikes a neuron and step {rates}")


if __name__ == "__main__":
    main()

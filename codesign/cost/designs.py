"""Designs to synthesise: from a recipe (plain data) to a mapped fabric.

A recipe is {"model", "settings", ...}. `model` is a file that `nervure compile` reads, with the
settings of the nervure.toml beside it, or one of FAMILIES: a random Graph of `sizes` neurons a
layer (inputs first) made from `seed`. `settings` are those of `codesign.settings`, flat. So a
design goes through quantiser, mapper and emitter like any model of a user's.

Further keys of random models: `density` of the synapses, `mixed_fields` (neurons differ in decay
and threshold), `output` ("spikes" or "values"), `recurrent`, `reset`, `graded` inputs; `order`,
`real` and `activation` of state-space layers; `tokens`, `dim`, `causal` of a head.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from codesign.settings import Settings, load_settings
from hdl.params.errors import UserError
from hdl.params.sc.attention import PORTS, AttentionParams
from mapping.graph import Connection, Graph, InputLayer, Layer, Options, Product, StateSpace
from mapping.mapped import Mapped

__all__ = ["FAMILIES", "build", "graph_of"]

FAMILIES = ("lif", "cuba", "ssm", "poles", "gate", "attention")
#: Firing rate of random input, and its calibration run.
RATE, SAMPLES, STEPS = 0.2, 4, 16


def _layer(name: str, size: int, level: int, **changes: Any) -> Layer:
    """LIF neurons unless `changes` say otherwise; numbers become arrays."""
    values: dict[str, Any] = {
        "kind": "LIF", "spiking": True, "has_current": False, "membrane_decay": 0.9,
        "current_decay": 0.0, "bias": 0.0, "threshold": 1.0, "reset": "subtract",
        "reset_value": 1.0, **changes,
    }  # fmt: skip
    for key in ("membrane_decay", "current_decay", "bias", "threshold", "reset_value"):
        values[key] = np.broadcast_to(np.asarray(values[key], float), size).copy()
    return Layer(name=name, size=size, shape=(size,), level=level, **values)


def _linear(name: str, size: int, level: int, **changes: Any) -> Layer:
    values = {"kind": "Linear", "spiking": False, "membrane_decay": 0.0, "threshold": np.inf}
    return _layer(name, size, level, **{**values, "reset_value": 0.0, "reset": "set", **changes})


def _link(source: str, target: str, matrix: Any, **changes: Any) -> Connection:
    matrix = sparse.csr_array(np.asarray(matrix, float))
    return Connection(
        source=source, target=target, matrix=matrix, node=f"{source}_{target}", **changes
    )


def _dense(rng: np.random.Generator, target: int, source: int, density: float) -> np.ndarray:
    """Weights that make a neuron of threshold 1 fire at times."""
    kept = rng.random((target, source)) < density
    fan_in = max(density * source * RATE, 1.0)
    return np.where(kept, rng.normal(0.15, 0.6, (target, source)) / np.sqrt(fan_in), 0.0)


def _neurons(recipe: dict[str, Any], rng: np.random.Generator) -> tuple[list, list]:
    """Layers and connections of leaky integrators that fire, the last of which may not."""
    sizes, density = recipe["sizes"], recipe.get("density", 1.0)
    mixed, cuba = recipe.get("mixed_fields", False), recipe["model"] == "cuba"
    layers, links = [], []
    for level, size in enumerate(sizes[1:], 1):
        last = level == len(sizes) - 1
        shape = size if mixed else 1
        reset = recipe.get("reset", "subtract")
        fields: dict[str, Any] = {
            "membrane_decay": rng.uniform(0.7, 0.97, shape),
            "threshold": rng.uniform(0.8, 1.2, shape),
            "reset": reset,
            "reset_value": 0.0 if reset == "set" else 1.0,
            "bias": rng.normal(0, 0.05, size) if mixed else 0.0,
        }
        if reset != "set":
            fields["reset_value"] = fields["threshold"]
        if cuba:
            fields |= {"has_current": True, "current_decay": rng.uniform(0.3, 0.8, shape)}
        kind = "CubaLIF" if cuba else "LIF"
        if last and recipe.get("output") == "values":
            fields |= {"spiking": False, "threshold": np.inf, "reset": "set", "reset_value": 0.0}
            kind = "CubaLI" if cuba else "LI"
        layers.append(_layer(f"n{level}", size, level, kind=kind, **fields))
        source = f"n{level - 1}" if level > 1 else "in"
        links.append(_link(source, f"n{level}", _dense(rng, size, sizes[level - 1], density)))
        if recipe.get("recurrent") and not last:
            links.append(
                _link(f"n{level}", f"n{level}", _dense(rng, size, size, density) / 2, delay=1)
            )
    return layers, links


def _states(recipe: dict[str, Any], rng: np.random.Generator) -> tuple[list, list]:
    """Encoder, then blocks of a state-space layer and a dense layer; or states as neurons."""
    sizes, real = recipe["sizes"], recipe.get("real", False)
    order, density = recipe.get("order", 4), recipe.get("density", 1.0)
    layers: list[Layer] = []
    links: list[Connection] = []
    before, level = "in", 0

    def add(layer: Layer, *into: Connection) -> None:
        layers.append(layer)
        links.extend(into)

    def poles(shape: Any) -> np.ndarray:
        size = rng.uniform(0.3, 0.98, shape)
        return size + 0j if real else size * np.exp(1j * rng.uniform(0, np.pi, shape))

    width = sizes[0]
    for number, size in enumerate(sizes[1:-1]):
        level += 1
        dense = _linear(f"d{number}", size, level)
        add(dense, _link(before, dense.name, _dense(rng, size, width, density)))
        if recipe["model"] == "poles":
            space = StateSpace(poles=poles(size if real else size // 2))
        else:
            mix = rng.normal(0, 1, (2, size, order)) / np.sqrt(order)
            space = StateSpace(
                poles=poles((size, order)), mix=mix[0] + (0 if real else 1j) * mix[1]
            )
        level += 1
        state = _linear(
            f"s{number}", size, level, kind="SSM", dendrites=space,
            activation=recipe.get("activation", ""),
        )  # fmt: skip
        add(state, _link(dense.name, state.name, np.eye(size)))
        before, width = state.name, size
        if recipe["model"] == "gate":
            level += 1
            side = _linear(f"g{number}", size, level - 1, activation="sigmoid")
            add(side, _link(dense.name, side.name, _dense(rng, size, size, density)))
            gate = _linear(f"p{number}", size, level, kind="Gate", dendrites=Product())
            eye = np.eye(size)
            add(gate, _link(state.name, gate.name, eye, port="left"),
                _link(side.name, gate.name, eye, port="right"))  # fmt: skip
            before = gate.name
    level += 1
    out = _linear("out", sizes[-1], level)
    add(out, _link(before, "out", _dense(rng, sizes[-1], width, density)))
    return layers, links


def _head(recipe: dict[str, Any], rng: np.random.Generator) -> tuple[list, list]:
    """Three dense layers, a head, a dense layer that fires."""
    params = AttentionParams(
        tokens=recipe["tokens"], dim=recipe["dim"], causal=recipe.get("causal", False),
        seed=recipe["seed"],
    )  # fmt: skip
    n, inputs, density = params.size, recipe["sizes"][0], recipe.get("density", 0.5)
    layers = [_layer(name, n, 1) for name in PORTS]
    layers.append(
        _layer("head", n, 2, kind="Attention", membrane_decay=0.0, threshold=0.0, reset="set",
               reset_value=0.0, dendrites=params)
    )  # fmt: skip
    layers.append(_layer("out", recipe["sizes"][-1], 3))
    links = [_link("in", name, _dense(rng, n, inputs, density)) for name in PORTS]
    links += [_link(name, "head", np.eye(n), port=name) for name in PORTS]
    links.append(_link("head", "out", _dense(rng, recipe["sizes"][-1], n, density)))
    return layers, links


def graph_of(recipe: dict[str, Any]) -> Graph:
    """The random model of a recipe."""
    rng = np.random.default_rng(recipe["seed"])
    make = {"lif": _neurons, "cuba": _neurons, "attention": _head}.get(recipe["model"], _states)
    layers, links = make(recipe, rng)
    inputs = recipe["sizes"][0]
    return Graph(
        name="random",
        inputs=(InputLayer(name="in", size=inputs, shape=(inputs,)),),
        layers=tuple(sorted(layers, key=lambda layer: layer.level)),
        connections=tuple(links),
        outputs=(layers[-1].name,),
        options=Options(),
    )


def build(recipe: dict[str, Any], root: Path = Path()) -> Mapped:
    """The mapped fabric of a recipe; model files lie under `root`.

    UserError if a recipe asks for what can't be mapped.
    """
    from codesign.crossbar.program import program_crossbars
    from mapping.importers.load import load_graph
    from mapping.mapper import map_program
    from mapping.quantise import quantise
    from sim.export import random_inputs
    from sim.stimulus import quantise_inputs, read_stimulus

    changes = recipe.get("settings", {})
    if recipe["model"] in FAMILIES:
        settings, graph = Settings().with_values(changes), graph_of(recipe)
        rng, shape = np.random.default_rng(recipe["seed"]), (SAMPLES, STEPS, recipe["sizes"][0])
        graded = recipe.get("graded", recipe["model"] in ("ssm", "poles", "gate"))
        data = rng.normal(0, 1, shape) if graded else (rng.random(shape) < RATE).astype(float)
        program, _ = quantise(graph, data, settings.quantisation)
        events, lengths = random_inputs(program), None
    else:
        path = root / recipe["model"]
        if not path.is_file():
            raise UserError(f"{path}: no such model; give the folder above `examples` (--root)")
        settings = load_settings(path.parent / "nervure.toml", changes)
        graph = load_graph(path, settings.options)
        assert settings.calibration is not None
        stimulus = read_stimulus(settings.calibration, inputs=sum(i.size for i in graph.inputs))
        program, _ = quantise(
            graph, stimulus.inputs, settings.quantisation, lengths=stimulus.lengths
        )
        events, lengths = quantise_inputs(program, stimulus), stimulus.lengths
    program, _ = program_crossbars(
        program, graph, settings.quantisation, settings.crossbar, events, lengths, lambda _: None
    )
    return map_program(program, settings.target)

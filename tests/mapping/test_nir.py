"""NIR files to Graphs: folding, feedback, repairs, and every bad input by its message."""

from __future__ import annotations

import contextlib

import h5py
import numpy as np
import pytest
from nir_files import chain, ends, lif, node, write

from hdl.params.errors import UserError
from mapping.graph import Options
from mapping.importers.nir import inspect_nir, load_nir
from mapping.importers.nir_file import natural
from mapping.reference import simulate

RNG = np.random.default_rng(0)
W = RNG.integers(-3, 4, (3, 4)).astype(float)
V = RNG.integers(-3, 4, (2, 3)).astype(float)
B = np.array([1.0, -2.0, 0.5])


def dense(graph) -> dict[tuple[str, str], np.ndarray]:
    return {(c.source, c.target): c.matrix.toarray() for c in graph.connections}


def delays(graph) -> dict[tuple[str, str], int]:
    return {(c.source, c.target): c.delay for c in graph.connections}


def loaded(path, nodes, edges, **options):
    return load_nir(write(path / "m.nir", nodes, edges), Options(**options))


def notes(graph, name) -> list[str]:
    return [n["change"] for n in graph.notes if n["node"] == name]


def relay(size=1):
    return node("Threshold", threshold=np.full(size, 0.5))


def test_a_chain_of_linear_nodes_is_one_matrix(tmp_path):
    nodes = {
        **ends((2, 2), 2),
        "flat": node("Flatten", start_dim=0, end_dim=-1, input_type=np.array([2, 2])),
        "fc1": node("Affine", weight=W, bias=B),
        "scale": node("Scale", scale=np.array([2.0, 1.0, -1.0])),
        "fc2": node("Affine", weight=V, bias=np.array([1.0, 1.0])),
        "n": lif(2, v_leak=np.array([0.5, 0.0])),
    }
    graph = loaded(tmp_path, nodes, chain("input", "flat", "fc1", "scale", "fc2", "n", "output"))
    scale = np.diag([2.0, 1.0, -1.0])
    assert dense(graph)["input", "n"] == pytest.approx(V @ scale @ W)
    bias = V @ scale @ B + 1.0
    assert graph.layers[0].bias == pytest.approx(bias + np.array([0.05, 0.0]))
    assert graph.connections[0].node == "flat+fc1+scale+fc2"
    assert graph.outputs == ("n",)
    assert (graph.inputs[0].size, graph.inputs[0].shape) == (4, (2, 2))
    assert graph.options.dt == 1e-4
    status = {n["name"]: n["status"] for n in graph.nodes}
    assert status["fc1"] == status["flat"] == "folded"
    assert status["n"] == status["input"] == status["output"] == "mapped"


def test_several_edges_into_a_node_add_up(tmp_path):
    nodes = {
        **ends(3, 3),
        "a": node("Linear", weight=2 * np.eye(3)),
        "b": node("Affine", weight=np.ones((3, 3)), bias=B),
        "n": lif(),
    }
    edges = [*chain("input", "a", "n", "output"), *chain("input", "b", "n"), ("input", "n")]
    graph = loaded(tmp_path, nodes, edges)
    assert dense(graph)["input", "n"] == pytest.approx(np.ones((3, 3)) + 3 * np.eye(3))
    assert graph.layers[0].bias == pytest.approx(B)


def test_skips_and_levels(tmp_path):
    nodes = {**ends(3, 3), "a": lif(), "b": lif(), "c": lif()}
    edges = [*chain("input", "a", "b", "c", "output"), ("input", "c"), ("a", "c")]
    graph = loaded(tmp_path, nodes, edges)
    assert {layer.name: layer.level for layer in graph.layers} == {"a": 1, "b": 2, "c": 3}
    assert set(delays(graph).values()) == {0}
    assert dense(graph)["a", "c"] == pytest.approx(np.eye(3))


def test_the_edge_that_closes_a_cycle_is_late(tmp_path):
    nodes = {**ends(1, 1), "a": relay(), "b": relay(), "w": node("Linear", weight=np.eye(1))}
    edges = [*chain("input", "a", "b", "output"), *chain("b", "w", "a"), ("b", "b")]
    graph = loaded(tmp_path, nodes, edges, recurrent_delay=3)
    assert delays(graph) == {("input", "a"): 0, ("a", "b"): 0, ("b", "a"): 3, ("b", "b"): 3}
    assert [layer.level for layer in graph.layers] == [1, 2]
    assert "edge from 'b' closes a cycle: it takes 3 steps" in notes(graph, "a")


def test_equal_distance_falls_back_to_the_order_of_names(tmp_path):
    nodes = {**ends(1, 1), "n10": relay(), "n2": relay()}
    edges = [("input", "n10"), ("input", "n2"), ("n10", "n2"), ("n2", "n10"), ("n10", "output")]
    graph = loaded(tmp_path, nodes, edges)
    assert delays(graph)["n2", "n10"] == 0
    assert delays(graph)["n10", "n2"] == 1


def test_numbers_in_names_sort_as_numbers():
    assert sorted(["10", "2", "a10", "a9.b", "a9"], key=natural) == ["2", "10", "a9", "a9.b", "a10"]


def test_a_linear_end_becomes_a_layer_of_values(tmp_path):
    nodes = {**ends(4, 3), "n": relay(4), "fc": node("Affine", weight=W, bias=B)}
    graph = loaded(tmp_path, nodes, chain("input", "n", "fc", "output"))
    last = graph.layers[-1]
    assert (last.name, last.kind, last.spiking, last.level) == ("fc", "Linear", False, 2)
    spikes = np.array([[[1, 0, 1, 1], [0, 1, 0, 0]]])
    assert simulate(graph, spikes).outputs == pytest.approx(spikes @ W.T + B)


def test_input_straight_to_output(tmp_path):
    graph = loaded(tmp_path, ends(2, 2), [("input", "output")])
    assert graph.outputs == ("output",)
    values = np.array([[[1.5, -2.0]]])
    assert (simulate(graph, values).outputs == values).all()


def test_several_inputs_and_outputs(tmp_path):
    nodes = {
        "in2": node("Input", shape=np.array([1])),
        "in10": node("Input", shape=np.array([2])),
        "fc": node("Linear", weight=np.ones((1, 2))),
        "a": relay(),
        "b": relay(),
        "out1": node("Output", shape=np.array([1])),
        "out2": node("Output", shape=np.array([1])),
    }
    edges = [*chain("in10", "fc", "a", "out1"), *chain("in2", "b", "out2")]
    graph = loaded(tmp_path, nodes, edges)
    assert [i.name for i in graph.inputs] == ["in2", "in10"]
    assert simulate(graph, np.array([[[1, 0, 0]]])).outputs.tolist() == [[[False, True]]]


def test_nested_graphs_are_flattened(tmp_path):
    inner = {"input": node("Input", shape=np.array([3])), "lif": lif()}
    inner["output"] = node("Output", shape=np.array([3]))
    sub = {"nodes": inner, "edges": chain("input", "lif", "output")}
    nodes = {**ends(3, 3), "sub": sub, "w": node("Linear", weight=np.eye(3))}
    graph = loaded(tmp_path, nodes, [*chain("input", "sub", "output"), *chain("sub", "w", "sub")])
    assert [layer.name for layer in graph.layers] == ["sub.lif"]
    assert delays(graph) == {("input", "sub.lif"): 0, ("sub.lif", "sub.lif"): 1}
    assert graph.outputs == ("sub.lif",)
    assert notes(graph, "sub") == ["nested graph flattened"]


def test_weights_with_leading_axes_are_blocks(tmp_path):
    weight = RNG.normal(size=(2, 3, 4))
    nodes = {**ends((2, 4), (2, 3)), "fc": node("Linear", weight=weight), "n": lif((2, 3))}
    matrix = dense(loaded(tmp_path, nodes, chain("input", "fc", "n", "output")))["input", "n"]
    assert matrix[:3, :4] == pytest.approx(weight[0])
    assert matrix[3:, 4:] == pytest.approx(weight[1])
    assert not matrix[:3, 4:].any()


def test_negative_r_and_w_in_turn_the_sign_of_the_weights(tmp_path):
    one = np.ones(1)
    cuba = node("CubaLI", tau_syn=1e-3 * one, tau_mem=1e-3 * one, r=-2 * one, v_leak=0 * one)
    for w_in, sign in ((-1.0, 1), (1.0, -1)):
        nodes = {**ends(1, 1), "n": {**cuba, "w_in": w_in * one}}
        graph = loaded(tmp_path, nodes, chain("input", "n", "output"))
        assert dense(graph)["input", "n"] == pytest.approx(sign * 2 * 0.01)


def test_a_bias_into_a_current_is_a_neuron_that_always_spikes(tmp_path):
    one = np.ones(3)
    cuba = node("CubaLI", tau_syn=1e-3 * one, tau_mem=1e-3 * one, r=10 * one, v_leak=0 * one)
    nodes = {**ends(4, 3), "fc": node("Affine", weight=W, bias=B), "n": {**cuba, "w_in": 10 * one}}
    graph = loaded(tmp_path, nodes, chain("input", "fc", "n", "output"))
    assert [layer.name for layer in graph.layers] == ["n.bias", "n"]
    values = simulate(graph, np.zeros((1, 3, 4))).outputs[0]
    assert values == pytest.approx(np.outer([1, 2.8, 5.23], B))  # 1, .9+1.9, .9*2.8+2.71


def test_layers_without_effect_are_dropped_and_said(tmp_path):
    nodes = {**ends(3, 3), "n": lif(), "dead": lif(), "alone": lif()}
    edges = [*chain("input", "n", "output"), ("n", "dead"), ("alone", "n")]
    graph = loaded(tmp_path, nodes, edges)
    assert {layer.name for layer in graph.layers} == {"alone", "n"}
    assert notes(graph, "dead") == ["removed: no Output depends on it"]
    assert notes(graph, "alone") == ["no Input leads to it"]


def test_scalar_and_mixed_parameters_are_spread(tmp_path):
    scalar = node("LIF", tau=np.float64(1e-3), r=np.ones(1), v_leak=0.0, v_threshold=np.ones(3))
    nodes = {**ends(3, 3), "a": scalar, "b": lif(1), "s": node("Scale", scale=np.float64(2.0))}
    graph = loaded(tmp_path, nodes, chain("input", "a", "s", "b", "output"))
    assert [layer.size for layer in graph.layers] == [3, 3]
    assert dense(graph)["a", "b"] == pytest.approx(2 * np.eye(3))
    assert "'v_reset' was missing: 0" in notes(graph, "a")
    assert "one value of each parameter" in notes(graph, "b")


def test_missing_shapes_come_from_the_neighbours(tmp_path):
    nodes = {
        "input": node("Input"),
        "flat": node("Flatten", start_dim=0, end_dim=-1),
        "fc": node("Linear", weight=W),
        "n": lif(),
        "output": node("Output"),
    }
    graph = loaded(tmp_path, nodes, chain("input", "flat", "fc", "n", "output"))
    assert graph.inputs[0].shape == (4,)
    assert notes(graph, "input") == ["shape was missing: [4]"]


def test_repairs_and_assumptions_are_notes(tmp_path):
    nodes = {**ends(3, (1, 3)), "n": lif(v_leak=np.ones(3))}
    nodes["f"] = node("IF", r=np.ones(3), v_threshold=np.ones(3), v_reset=np.zeros(3))
    edges = chain("input", "n", "f", "output")
    graph = loaded(tmp_path, nodes, [*edges, edges[0]])
    assert [n["change"] for n in graph.notes] == [
        "edge from 'input' is listed twice",
        "takes (1, 3) where 'f' gives (3,)",
        "starts at 0, not at v_leak",
        "NIR stores no time step: dt = 0.0001 s",
        "integrates dt * r, here 0.0001 * r, of its input a step",
    ]
    assert set(graph.notes[0]) == {"node", "change", "effect"}


def fails(call, *arguments) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert error.value.exit_code == 2
    return str(error.value)


def problem(tmp_path, nodes, edges, **options) -> str:
    """The message, without the path."""
    path = write(tmp_path / "m.nir", nodes, edges)
    message = fails(load_nir, path, Options(**options))
    assert message.startswith(f"{path}: ")
    assert inspect_nir(path, Options(**options)).problems
    return message.removeprefix(f"{path}: ")


def test_files_that_are_no_model(tmp_path):
    text, empty, cut = (tmp_path / n for n in ("text.nir", "empty.nir", "cut.nir"))
    text.write_text("hello")
    h5py.File(empty, "w").close()
    good = write(tmp_path / "good.nir", {**ends(3, 3), "n": lif()}, chain("input", "n", "output"))
    cut.write_bytes(good.read_bytes()[:3000])
    single = tmp_path / "single.nir"
    with h5py.File(single, "w") as file:
        file["node/type"] = "LIF"
    for path, message in (
        (tmp_path / "none.nir", "there is no such file; check the path"),
        (tmp_path, "is a directory; name the .nir file in it"),
        (text, "is not a NIR file (no HDF5 inside); write it with nir.write"),
        (empty, "is HDF5 but no NIR graph (no 'node' in it); use nir.write"),
        (
            single,
            "holds one LIF, not a graph; wrap it with nir.NIRGraph.from_list and write it again",
        ),
    ):
        assert fails(load_nir, path) == fails(inspect_nir, path) == f"{path}: {message}"
    message = fails(load_nir, cut)
    assert message.startswith(f"{cut}: the file is damaged (")
    assert message.endswith("); copy or write it again")
    assert "\n" not in message


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_never_end_in_a_traceback(seed, tmp_path):
    nodes = {**ends(4, 3), "fc": node("Affine", weight=W, bias=B), "n": lif()}
    path = write(tmp_path / "m.nir", nodes, chain("input", "fc", "n", "output"))
    rng, data = np.random.default_rng(seed), bytearray(path.read_bytes())
    for at in rng.integers(0, len(data), 8):
        data[at] ^= int(rng.integers(1, 256))
    path.write_bytes(data)
    with contextlib.suppress(UserError):
        load_nir(path)
    with contextlib.suppress(UserError):
        inspect_nir(path)


def test_a_damaged_heap_of_strings_is_named_not_read(tmp_path):
    """The HDF5 library would step over a free space of size 0 for ever."""
    path = write(tmp_path / "m.nir", {**ends(3, 3), "n": lif()}, chain("input", "n", "output"))
    data = bytearray(path.read_bytes())
    heap = at = data.index(b"GCOL")
    at += 16
    while int.from_bytes(data[at : at + 2], "little"):
        at += 16 + (int.from_bytes(data[at + 8 : at + 16], "little") + 7) // 8 * 8
    data[at + 8 : at + 16] = bytes(8)
    path.write_bytes(data)
    assert fails(load_nir, path) == (
        f"{path}: the file is damaged (its heap of strings at byte {heap} does not add up); "
        "copy or write it again"
    )


def test_huge_arrays_are_refused_before_they_are_read(tmp_path):
    path = write(tmp_path / "m.nir", {**ends(3, 3), "n": lif()}, chain("input", "n", "output"))
    with h5py.File(path, "r+") as file:
        item = file["node/nodes"].create_group("fc")
        item["type"] = "Linear"
        item.create_dataset("weight", shape=(1 << 15, 1 << 15), dtype="f4", chunks=(256, 256))
    assert fails(load_nir, path) == (
        f"{path}: parameters take 8.0 GiB, at most 1 GiB are read; the largest is 'fc/weight': "
        "split the model"
    )


def test_links_out_of_the_file_are_not_followed(tmp_path):
    path = write(tmp_path / "m.nir", {**ends(3, 3), "n": lif()}, chain("input", "n", "output"))
    other = write(tmp_path / "o.nir", {"n": lif()}, [])
    with h5py.File(path, "r+") as file:
        del file["node/nodes/n"]
        file["node/nodes/n"] = h5py.ExternalLink(str(other), "/node/nodes/n")
    assert "node 'n': has no type; rename it without '/' and write the file again" in fails(
        load_nir, path
    )


BAD_NODES = [
    (
        lif(tau=np.array([1e-3, np.nan, np.inf])),
        {},
        "node 'n' (LIF): 'tau' has 2 of 3 values that are NaN or infinite; "
        "train or export it again",
    ),
    (
        lif(tau=np.array([1e-3, 0.0, 1e-3])),
        {},
        "node 'n' (LIF): 'tau' must be positive, its smallest value is 0; give a time constant in "
        "seconds",
    ),
    (
        lif(tau=np.array([1e-3, -1.0, 1e-3])),
        {},
        "node 'n' (LIF): 'tau' must be positive, its smallest value is -1; give a time constant in "
        "seconds",
    ),
    (
        lif(tau=np.ones(2)),
        {},
        "node 'n' (LIF): shapes do not fit together: tau (2,), r (3,), v_leak (3,), "
        "v_threshold (3,), v_reset (3,); give one value, or one a neuron",
    ),
    (
        node("IF", r=np.ones(3)),
        {},
        "node 'n' (IF): has no parameter 'v_threshold'; write the file again with nir.write",
    ),
    (lif(r=np.zeros(0)), {}, "node 'n' (LIF): 'r' is empty; give it at least one value"),
    (lif(r="high"), {}, "node 'n' (LIF): 'r' holds no numbers; write it again"),
    (
        node("Linear", weight=np.ones(3)),
        {},
        "node 'n' (Linear): 'weight' must be [..., out, in], its shape is (3,)",
    ),
    (
        node("Affine", weight=np.eye(3), bias=np.ones(2)),
        {},
        "node 'n' (Affine): 'bias' has shape (2,), the weight gives (3,); make them equal",
    ),
    (
        node("Linear", weight=np.ones((3, 5))),
        {},
        "edge 'input' -> 'n': 'input' gives 3 values (3,), 'n' takes 5 (5,); make them equal",
    ),
    (
        node("Conv2d", weight=np.ones((1, 1, 3, 3))),
        {},
        "node 'n' (Conv2d): is not supported: convolutions are not read; unroll it to an Affine "
        "with the equivalent matrix before export",
    ),
    (
        node("Delay", delay=np.ones(3)),
        {},
        "node 'n' (Delay): is not supported: axonal delays are not mapped; remove it, or train "
        "with delays of whole steps in a recurrent edge",
    ),
    (
        node("Izhikevich"),
        {},
        "node 'n' (Izhikevich): is no kind that Nervure knows; replace it by NIR primitives",
    ),
    (
        lif(),
        {"dt": 6e-4},
        "node 'n' (LIF): dt / tau is 0.6 (dt 0.0006 s, smallest tau 0.001 s), above 0.5: too "
        "coarse for the equations; use --dt 1e-4, or --force if the model was trained with this dt",
    ),
    (
        lif(),
        {"dt": 2e-3, "force": True},
        "node 'n' (LIF): dt / tau is 2 (dt 0.002 s, smallest tau 0.001 s), above 1: the euler "
        "decay would be negative; use --dt 1e-4 or --scheme exponential",
    ),
    (lif(), {"dt": -1.0}, "option dt: must be a positive number of seconds, not -1.0"),
    (
        lif(),
        {"reset": "soft"},
        "option reset: must be one of v_reset, zero, subtract, delayed, not 'soft'",
    ),
    (
        lif(),
        {"recurrent_delay": 0},
        "option recurrent_delay: must be a whole number of steps >= 1, not 0",
    ),
]


@pytest.mark.parametrize(("bad", "options", "message"), BAD_NODES)
def test_bad_nodes_and_options(bad, options, message, tmp_path):
    nodes = {**ends(3, 3), "n": bad}
    assert (
        problem(tmp_path, nodes, chain("input", "n", "output"), **options).splitlines()[-1].strip()
        == message
    )


def test_force_accepts_a_coarse_step(tmp_path):
    nodes = {**ends(3, 3), "n": lif()}
    graph = loaded(tmp_path, nodes, chain("input", "n", "output"), dt=6e-4, force=True)
    assert graph.layers[0].membrane_decay == pytest.approx(0.4)
    graph = loaded(
        tmp_path, nodes, chain("input", "n", "output"), dt=2e-3, force=True, scheme="exponential"
    )
    assert graph.layers[0].membrane_decay == pytest.approx(np.exp(-2))


IN, OUT = "node 'input' (Input): ", "node 'output' (Output): "
BAD_WIRING = [
    (
        {"n": lif()},
        [*chain("input", "n", "output"), ("n", "x")],
        "edge 'n' -> 'x': there is no node 'x'; add it or remove the edge",
    ),
    ({"n": lif()}, [("input", "n")], OUT + "nothing leads to it; connect or remove it"),
    (
        {"n": lif()},
        [*chain("input", "n", "output"), ("n", "input")],
        IN + "an edge leads into it; remove the edge",
    ),
    (
        {"n": lif()},
        [*chain("input", "n", "output"), ("output", "n")],
        OUT + "an edge leaves it; start it at its source",
    ),
    (
        {"a": node("Scale", scale=np.ones(3)), "b": node("Scale", scale=np.ones(3))},
        [*chain("input", "a", "b", "output"), ("b", "a")],
        "nodes 'a', 'b': form a loop without a neuron; put a neuron on it",
    ),
    (
        {"s": {"nodes": {"n": lif()}, "edges": []}},
        chain("input", "s", "output"),
        "node 's' (NIRGraph): has 0 Inputs and 0 Outputs; give a nested graph one of each",
    ),
]


@pytest.mark.parametrize(("extra", "edges", "message"), BAD_WIRING)
def test_bad_wiring(extra, edges, message, tmp_path):
    assert problem(tmp_path, {**ends(3, 3), **extra}, edges) == message


def test_ends_are_needed(tmp_path):
    assert problem(tmp_path, {"n": lif()}, [("n", "n")]).splitlines() == [
        "2 problems",
        "  the graph: has no Input node; add one and lead edges to it",
        "  the graph: has no Output node; add one and lead edges to it",
    ]
    assert problem(tmp_path, {}, []).splitlines()[1] == (
        "  the graph: has no nodes; export the model again"
    )


def test_all_problems_come_at_once_and_inspect_lists_every_node(tmp_path):
    nodes = {
        **ends(3, 2),
        "conv": node("Conv1d", weight=np.ones((1, 1, 3))),
        "n": lif(tau=np.zeros(3), r=np.full(3, np.nan)),
        "fc": node("Linear", weight=np.array([[0.0, 1.0, 0.0, 0.0]])),
    }
    path = write(tmp_path / "m.nir", nodes, chain("input", "conv", "n", "fc", "output"))
    lines = fails(load_nir, path).splitlines()
    assert lines[0] == f"{path}: 4 problems"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "node 'conv' (Conv1d)",
        "node 'n' (LIF)",
        "node 'n' (LIF)",
        "edge 'fc' -> 'output'",
    ]
    seen = inspect_nir(path)
    assert [n["name"] for n in seen.nodes] == ["conv", "fc", "input", "n", "output"]
    assert [n["status"] for n in seen.nodes] == [
        "unsupported",
        "folded",
        "mapped",
        "unsupported",
        "mapped",
    ]
    assert seen.nodes[0]["reason"].startswith("is not supported: convolutions")
    assert (seen.parameters, seen.density) == (3 + 15 + 4, 0.25)
    assert len(seen.problems) == 4


def test_inspect_of_a_good_model(tmp_path):
    nodes = {**ends(4, 3), "fc": node("Affine", weight=W, bias=B), "n": lif()}
    path = write(tmp_path / "m.nir", nodes, chain("input", "fc", "n", "output"))
    seen, graph = inspect_nir(path), load_nir(path)
    assert (seen.nodes, seen.notes, seen.problems) == (graph.nodes, graph.notes, ())
    assert seen.edges == (("input", "fc"), ("fc", "n"), ("n", "output"))
    assert seen.name == "m"


def test_the_nir_package_writes_what_is_read(tmp_path):
    import nir

    one = np.ones(3)
    graph = nir.NIRGraph.from_list(
        nir.Affine(W, B),
        nir.CubaLIF(1e-3 * one, 1e-3 * one, one, 0 * one, one),
        nir.LI(one, one, one),
    )
    nir.write(tmp_path / "m.nir", graph)
    assert [layer.kind for layer in load_nir(tmp_path / "m.nir").layers] == ["IF", "CubaLIF", "LI"]

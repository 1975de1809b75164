import numpy as np
import pytest

from hdl.params.errors import UserError
from mapping.connect import connectivity
from mapping.connectivity import Capacity
from mapping.network import flatten
from mapping.partition import in_layer_order, loads, slots_needed
from mapping.place import distances, mesh_size, place
from mapping.program import Program
from tests.kit import random_program, random_projection


def graph_of(program: Program):
    network = flatten(program)
    return connectivity(network, np.ones(network.sources))


def clustered(clusters=4, size=24, seed=0) -> Program:
    """A population of interleaved clusters that talk among themselves: layer order is bad."""
    program = random_program(seed, (clusters * size, clusters * size), recurrent=False, skip=False)
    rng = np.random.default_rng(seed)
    name = program.populations[0].name
    inputs = program.inputs[0].name
    total = clusters * size
    projection = random_projection(rng, (inputs, total), (name, total), density=1.0)
    rows = np.repeat(np.arange(total), np.diff(projection.indptr))
    keep = rows % clusters == projection.indices % clusters
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[keep], minlength=total))])
    object.__setattr__(projection, "indptr", indptr)
    object.__setattr__(projection, "indices", projection.indices[keep])
    object.__setattr__(projection, "weights", projection.weights[keep])
    object.__setattr__(program, "projections", (projection,))
    return program


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("cores", [1, 2, 3, 7, 30])
def test_layer_order_is_contiguous_and_uses_all_cores(cores, lanes):
    graph = graph_of(random_program(1, (12, 50, (20, 30), 10)))
    core = in_layer_order(graph, Capacity(cores=cores, lanes=lanes))
    assert core[0] == 0
    assert set(np.diff(core)) <= {0, 1}
    assert core[-1] == cores - 1


def test_more_cores_than_neurons_leave_some_empty():
    graph = graph_of(random_program(1, (4, 3, 2)))
    core = in_layer_order(graph, Capacity(cores=9, lanes=8))
    assert core.tolist() == [0, 1, 2, 3, 4]


def test_layer_order_balances_the_load():
    graph = graph_of(random_program(2, (40, 200, 200, 100)))
    core = in_layer_order(graph, Capacity(cores=5, lanes=1))
    load = np.bincount(core, weights=loads(graph))
    assert load.max() < 1.1 * load.mean()


@pytest.mark.parametrize("neurons", [16, 20, 32])
def test_slots_stay_within_the_limit(neurons):
    graph = graph_of(random_program(3, (12, 30, (7, 9), 10)))
    limits = Capacity(cores=6, lanes=4, slots=neurons)
    core = in_layer_order(graph, limits)
    assert slots_needed(graph.population, core, 6, 4).max() <= neurons


def test_too_many_neurons_say_so():
    graph = graph_of(random_program(3, (12, 30, 20, 10)))
    with pytest.raises(UserError) as error:
        in_layer_order(graph, Capacity(cores=2, lanes=4, slots=16))
    assert str(error.value) == (
        "neurons: 64 slots needed (populations padded to 4 lanes), 2 x 16 available; "
        "use more cores (--cores 4) or fewer lanes (--lanes)"
    )


@pytest.mark.parametrize(
    ("cores", "size"),
    [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (5, (3, 2)), (9, (3, 3)), (10, (4, 3))],
)
def test_meshes_are_nearly_square(cores, size):
    assert mesh_size(cores) == size


def test_mesh_size_honours_what_is_given():
    assert mesh_size(6, width=6) == (6, 1)
    assert mesh_size(6, height=2) == (3, 2)
    assert mesh_size(4, 4, 4) == (4, 4)


@pytest.mark.parametrize("mesh", [(1, 1), (2, 1), (2, 2), (3, 3), (4, 2), (5, 5)])
def test_placement_is_one_tile_per_core(mesh):
    width, height = mesh
    cores = max(1, width * height - 1)
    rng = np.random.default_rng(0)
    tile = place(rng.random((cores + 1, cores + 1)), width, height)
    assert len(set(tile.tolist())) == cores
    assert tile.min() >= 0
    assert tile.max() < width * height


def test_placement_finds_a_ring():
    ring = np.random.default_rng(4).permutation(16)
    traffic = np.zeros((17, 17))
    traffic[ring, np.roll(ring, 1)] = 1
    tile = place(traffic, 4, 4)
    hops = distances(4, 4)[np.ix_(tile, tile)]
    cost = (traffic[:16, :16] * hops).sum()
    assert cost <= 20, cost  # 16 is best, row by row in order 1, 2, 3 ... gives 30
    assert np.array_equal(tile, place(traffic, 4, 4))

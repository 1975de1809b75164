"""METIS called directly: pymetis' answer to the last neuron, and other threads go on meanwhile."""

import threading
import time

import numpy as np
import pymetis
import pytest
from scipy.sparse import csr_array, random_array

from mapping.metis import part_graph


def symmetric(nodes, density, seed):
    rng = np.random.default_rng(seed)
    half = random_array(
        (nodes, nodes), density=density, rng=rng, data_sampler=lambda size: rng.integers(1, 9, size)
    )
    both = csr_array(half + half.T)
    both.setdiag(0)
    both.eliminate_zeros()
    return csr_array(both)


@pytest.mark.parametrize(("nodes", "parts"), [(2, 2), (3, 2), (40, 7), (400, 2), (900, 33)])
def test_the_answer_is_pymetis_own(nodes, parts):
    links = symmetric(nodes, min(1.0, 8 / nodes), seed=nodes)
    weight = np.random.default_rng(1).integers(0, 50, nodes)
    found = part_graph(links, weight, parts, seed=3, ufactor=30)
    _, expected = pymetis.part_graph(
        parts,
        pymetis.CSRAdjacency(links.indptr.astype(np.int32), links.indices.astype(np.int32)),
        vweights=weight.astype(np.int32),
        eweights=links.data.astype(np.int32),
        recursive=False,
        options=pymetis.Options(seed=3, ufactor=30),
    )
    assert found.dtype == np.int32
    assert found.tolist() == list(expected)


def test_one_part_and_no_links():
    assert part_graph(symmetric(9, 0.5, 0), np.ones(9), 1, seed=0, ufactor=30).tolist() == [0] * 9
    empty = csr_array((6, 6), dtype=np.int32)
    found = part_graph(empty, np.ones(6), 3, seed=0, ufactor=30)
    assert np.bincount(found, minlength=3).tolist() == [2, 2, 2]


def test_other_threads_go_on():
    links = symmetric(6000, 0.005, 5)
    beats, done = [], threading.Event()

    def beat():
        while not done.wait(0.005):
            beats.append(time.perf_counter())

    thread = threading.Thread(target=beat)
    thread.start()
    begin = time.perf_counter()
    part_graph(links, np.ones(6000), 64, seed=0, ufactor=30)
    end = time.perf_counter()
    done.set()
    thread.join()
    assert end - begin > 0.05, "too quick to tell"
    assert sum(begin < at < end for at in beats) > 5

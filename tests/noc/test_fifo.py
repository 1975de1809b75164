# amaranth: UnusedElaboratable=no
"""Queues in front of the cores: no depth changes a bit; what a queue holds, and in which order."""

import numpy as np
import pytest

from codesign.settings import load_settings
from hdl.params.errors import UserError
from hdl.params.noc import MeshParams
from hdl.queue import Queue
from mapping.mapped import Target
from mapping.mapper import map_program
from tests.kit import random_program
from tests.kit_hdl import clocked, getter, putter, run
from tests.stalls import StallingFabric, StallingMesh
from tests.test_matrix import check

DEPTHS = (1, 2, 16, 64)


def mixed(mesh, fabric):
    """The fabric with queues of all DEPTHS, one a tile."""

    class Mixed(mesh):
        def fifo(self, tile: int) -> int:
            return DEPTHS[tile % len(DEPTHS)]

    class MixedFabric(fabric):
        mesh_class = Mixed

    return MixedFabric


@pytest.mark.parametrize("seed", [6])
def test_no_depth_changes_a_bit(seed, tmp_path):
    program = random_program(seed, (9, 14, 8))
    fabric = mixed(StallingMesh, StallingFabric)
    check(program, 4, 2, tmp_path, seed=seed, fabric=fabric)


def test_the_setting_reaches_the_mesh():
    program = random_program(1)
    for depth in (0, 512):
        mapped = map_program(program, Target(cores=2, fifo=depth))
        assert mapped.mesh.fifo == depth


@pytest.mark.parametrize("depth", [-1, 3, 1024, 2.0, True])
def test_a_wrong_depth_is_refused(depth):
    message = "fifo must be 0 or a power of two up to 512, not "
    with pytest.raises(UserError, match=message):
        map_program(random_program(1), Target(fifo=depth))
    with pytest.raises(UserError, match=f"command line: {message}"):
        load_settings(None, {"fifo": depth})
    mesh = map_program(random_program(1), Target()).mesh
    with pytest.raises(ValueError, match=message):
        MeshParams(
            flit=mesh.flit, levels=mesh.levels, cores=mesh.cores, entries=mesh.entries, fifo=depth
        )


@pytest.mark.parametrize("depth", [0, 3, None])
def test_a_queue_has_a_power_of_two(depth):
    with pytest.raises(ValueError, match="depth must be a power of two from 1, not"):
        Queue(4, depth=depth)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("depth", [1, 16, 64])
def test_a_queue_holds_its_depth_and_one_more(depth, stall):
    """While nothing is taken it takes depth + 1 words (a read register adds one), all come out."""
    words = list(np.random.default_rng(depth).integers(0, 256, 3 * depth + 7))
    words = [int(word) for word in words]
    dut, got, sent, taken = Queue(8, depth=depth), [], [], []
    sim = clocked(dut)
    sim.add_testbench(putter(dut.i, words, seed=1, stall=stall, log=sent))
    start = 8 * depth + 20

    async def late(ctx):
        await ctx.tick().repeat(start)
        await getter(dut.o, got, len(words), seed=2, stall=stall, log=taken)(ctx)

    sim.add_testbench(late)
    run(sim, 40 * depth + 400)
    assert got == words
    before = sum(cycle < start for cycle, _ in sent)
    assert before == min(len(words), depth + (2 if depth == 64 else 1))
    if not stall:
        assert [cycle for cycle, _ in taken] == list(range(len(words)))

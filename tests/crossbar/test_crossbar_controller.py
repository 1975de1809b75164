# amaranth: UnusedElaboratable=no
"""The controller's RTL, with the emulated array's, against its twin, answer by answer; and against
counts that follow from the rules alone."""

from functools import cache

import pytest

from hdl.params.crossbar.array import ArrayMemory
from hdl.params.crossbar.controller import Command, ControllerMemory, Status
from sim.golden.crossbar.controller import ControllerModel
from tests.crossbar.kit_behind import Behind, run_rtl
from tests.crossbar.kit_commands import (
    Config,
    Order,
    Rack,
    answers_in,
    answers_of,
    build,
    make,
    script,
    words,
)

#: The least and several rows, columns, pairs, tiles, blocks, epochs; both kinds of devices, both
#: policies; coarse and fine codes; all inputs and samplings.
CASES = {
    "smallest": make(rows=1, columns=2, adc_bits=4),
    "one column": make(rows=2, columns=1, sampling="binary", seed=2),
    "ternary": make(
        rows=3, columns=7, sampling="ternary", kind="pulse", epochs=2, tiles=2, spares=1, noise=2,
        value_bits=2, input="width", seed=3, control={"max_pulses": 5},
    ),
    "three pairs": make(
        rows=3, columns=14, devices=3, spares=2, epochs=4, value_bits=1, seed=4,
        control={"policy": "feedback", "averages": 2, "fault_limit": 2, "tolerance": 4},
    ),
    "one pulse": make(
        rows=2, columns=5, cell_bits=8, adc_bits=10, value_bits=2, input="width", converters=3,
        seed=5, control={"averages": 0, "tolerance": 0, "max_pulses": 1, "unit": 1},
    ),
    "pulses": make(
        rows=2, columns=10, devices=2, kind="pulse", blocks=3, noise=2, epochs=2, cell_bits=10,
        adc_bits=6, tiles=2, spares=2, seed=6,
        control={"unit": 1000, "max_pulses": 10, "tolerance": 20, "fault_limit": 1},
    ),
}  # fmt: skip


#: What "pulses" has in its memories from the start.
IMAGES = {
    ControllerMemory.TARGET: [400, 0, 7, 512],
    ControllerMemory.FACTOR: [65535, 3, 4096],
    ControllerMemory.INPUT: [1],
    ArrayMemory.CELL: [300, 7, 511],
}


@cache
def rack():
    """All cases side by side, as one build."""
    return build(Rack(list(CASES.values()), [{}] * (len(CASES) - 1) + [IMAGES]))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_answers_are_the_twin_s(name, seed):
    """All commands and configuration in random order, some commands wrong, both streams stall;
    after a reset in the midst of a PROGRAM."""
    p, unit, model = CASES[name], list(CASES).index(name), rack().new()
    before = [Order(Command.UPDATE, value=0), Order(Command.PROGRAM)]
    filled = [Config(ControllerMemory.TARGET, k, 99) for k in range(p.places)]
    model.stream(words([*filled, *before], unit), idle_cycles=37 * seed)
    model.reset()
    steps = script(p, seed, commands=80)
    expected = answers_of(ControllerModel(p), steps)
    count = sum(map(len, expected))
    run = model.stream(words(steps, unit), until=count, stall_in=0.3, stall_out=0.3, seed=seed)
    got = answers_in(run.words_out)
    at = 0
    for step in (step for step in steps if isinstance(step, Order)):
        answers = expected.pop(0)
        assert got[at : at + len(answers)] == answers, f"seed {seed}: {step}"
        at += len(answers)
    assert not expected
    assert not len(model.stream([], idle_cycles=100).words_out)


def filled(p, *, level=0, stuck=0, target=256):
    """All devices of one level, all targets the same; aged."""
    a = p.array
    item = level | stuck << (a.item_bits - 1)
    return [
        *(Config(ArrayMemory.CELL, k, item) for k in range(a.cells)),
        *(
            Config(ControllerMemory.TARGET, k, target)
            for k in range(a.blocks * p.places * a.tiles * a.rows)
        ),
        Order(Command.AGE),
    ]


def rtl_only(p, steps, *, slow=3, seed=1):
    """Answers of commands that give one each, with an array of Python, and their cycles."""
    orders = [step for step in steps if isinstance(step, Order)]
    answers, took = run_rtl(p, steps, [1] * len(orders), Behind(p, seed, slow=slow), seed=seed)
    return [answer for (answer,) in answers], took


def test_devices_without_noise_take_one_pulse_and_a_refresh_none():
    """Every device is written once, then stands; and its verify says the target."""
    p = make(rows=3, columns=4, noise=0, control={"tolerance": 0, "averages": 2})
    looks = [Order(Command.VERIFY, 0, 0, r, c) for r in range(3) for c in range(4)]
    steps = [*filled(p, target=201), Order(Command.PROGRAM), Order(Command.PROGRAM), *looks]
    answers, _ = rtl_only(p, steps)
    assert answers[1:3] == [(Status.DONE, 12), (Status.DONE, 0)]
    assert answers[3:] == [(Status.DONE, 201 << 2)] * 12


def test_dead_devices_take_all_pulses_of_all_columns():
    """None reaches its target: each column moves while there are spares, and each device of each
    physical column that was tried takes `max_pulses`, no more."""
    p = make(rows=2, columns=6, noise=0, spares=3, tiles=2, control={"max_pulses": 3})
    columns = [Order(Command.WEAR, 0, t, column=c) for t in range(2) for c in range(6)]
    maps = [Order(Command.MAP, 0, column=q) for q in range(2)]
    asks = [Order(Command.PROGRAM), Order(Command.FAILED), Order(Command.MOVED), *maps, *columns]
    answers, _ = rtl_only(p, [*filled(p, stuck=1), *asks])
    assert p.places == 2
    assert answers[1] == (Status.FAILED, 6 * 4 * 3)
    assert [v for _, v in answers[2:6]] == [8, 4, 5, 1]
    assert [v for _, v in answers[6:]] == [6] * 12


def test_fault_limit_keeps_columns():
    """A column with no more failures than the limit stays."""
    p = make(rows=4, columns=6, spares=2, noise=0, control={"max_pulses": 1, "fault_limit": 2})
    bad = [Config(ArrayMemory.CELL, r * 6 + c, 1 << (p.array.item_bits - 1))
           for r, c in [(0, 0), (3, 0), (0, 1), (1, 1), (2, 1), (1, 4)]]  # fmt: skip
    start = filled(p)
    steps = [*start[:-1], *bad, start[-1], Order(Command.PROGRAM), Order(Command.FAILED)]
    answers, _ = rtl_only(p, [*steps, *(Order(Command.MAP, column=q) for q in range(4))])
    assert [v for _, v in answers[3:]] == [0, 4, 2, 3]
    assert answers[2] == (Status.DONE, 2 + 1)


def test_updates_go_round():
    """Devices of a weight take turns, whatever weight it is, of one sign each."""
    p = make(rows=2, columns=6, devices=3, kind="pulse", noise=0)
    orders = [Order(Command.UPDATE, row=k & 1, value=k // 4 & 1) for k in range(8)]
    wears = [Order(Command.WEAR, column=c) for c in range(6)]
    answers, _ = rtl_only(p, [*filled(p), *orders, *wears])
    assert [v for _, v in answers[1:9]] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert [v for _, v in answers[9:]] == [2, 1, 1, 2, 1, 1]


@pytest.mark.parametrize("slow", [1, 7])
def test_cycles_are_bounded(slow):
    """As Programmer states, with an array that takes at most `slow` + 1 cycles."""
    p = make(rows=2, columns=4, noise=0, devices=2, control={"max_pulses": 3, "averages": 1})
    busy = slow + 1
    steps = [*filled(p, stuck=1), Order(Command.VERIFY), Order(Command.PROGRAM)]
    answers, (_, verify, program) = rtl_only(p, steps, slow=slow)
    assert answers[2] == (Status.FAILED, 8 * 3)
    most = 2 * (busy + 1) + 10
    assert verify <= most + 8
    device = (p.max_pulses + 1) * most + p.max_pulses * (busy + 2) + 6
    others = most + 5
    assert program <= 8 * device + 4 * others + 4 + 8


def test_images_are_what_configuration_would_have_written():
    """Memories that start full, beside a twin that is configured."""
    p, unit = CASES["pulses"], list(CASES).index("pulses")
    steps = [
        Order(Command.AGE),
        Order(Command.VERIFY, 0, 0, 0, 2),
        *(Order(Command.FACTOR, 0, n // 2, column=n % 2) for n in range(4)),
        Order(Command.PRODUCT),
        Order(Command.PROGRAM),
    ]
    written = [
        Config(memory, k, v) for memory, items in IMAGES.items() for k, v in enumerate(items)
    ]
    expected = [
        a for answers in answers_of(ControllerModel(p), [*written, *steps]) for a in answers
    ]
    run = rack().new().stream(words(steps, unit), until=len(expected))
    assert answers_in(run.words_out) == expected
    assert expected[2:6] == [(0, 65535), (0, 3), (0, 4096), (0, 1000)]

"""The RTL of the emulated array against its twin, bit for bit, in Verilator.

The twin is tied to plain integers in tests/crossbar/test_crossbar_array_model.py. Here all tables,
contents and commands are random; sizes, banks, clocks, converters and kinds of devices differ.
"""

import random

import pytest

from hdl.crossbar.ports import CONVERT_LATENCY
from hdl.params.crossbar.array import (
    GAIN_BITS,
    OFFSET_BITS,
    ArrayMemory,
    ArrayParams,
    Pulse,
    ReadRange,
)
from hdl.params.crossbar.device import (
    ENTRIES,
    LOG_AGE_BITS,
    NOISE_BITS,
    NU_BITS,
    READ_BITS,
    TIME_BITS,
    DeviceParams,
)
from tests.crossbar.kit_crossbar import Script, build


def some_device(draw, bits, kind):
    """Tables with anything in them; half of the time small."""

    def table(most, least=0):
        top = draw.choice([most, most >> 3])
        return tuple(draw.randint(max(least, -top), top) for _ in range(ENTRIES))

    full = (1 << bits) - 1
    return DeviceParams(
        cell_bits=bits, kind=kind, write_noise=table((1 << NOISE_BITS) - 1),
        set_step=table(full, -full), set_noise=table((1 << NOISE_BITS) - 1),
        reset_level=draw.randint(0, full), reset_noise=draw.randrange(1 << NOISE_BITS),
        drift_mean=table((1 << NU_BITS) - 1), drift_sigma=table((1 << NOISE_BITS) - 1),
        read_noise=table((1 << READ_BITS) - 1),
    )  # fmt: skip


def sizes(p):
    """Items of each memory."""
    return {
        ArrayMemory.CELL: p.cells,
        ArrayMemory.STATE: 2 * p.blocks,
        ArrayMemory.REFERENCE: p.banks * p.columns,
        ArrayMemory.AGE: 4 * p.epochs,
        ArrayMemory.CONVERTER: 4 * p.converters,
    }


def some_item(draw, p, memory, address):
    """Anything that may stand there; ages and gains are often small, or nothing would be left."""
    if memory == ArrayMemory.CELL:
        stuck = draw.random() < 0.1
        return draw.randrange(1 << p.item_bits - 1) | stuck << p.item_bits - 1
    if memory == ArrayMemory.STATE:
        return draw.randrange(1, 1 << 64)
    if memory == ArrayMemory.REFERENCE:
        return draw.randrange(1 << p.value_bits)
    if memory == ArrayMemory.AGE:
        bits = (LOG_AGE_BITS, TIME_BITS, TIME_BITS, 0)[address % 4]
        return draw.randrange(1 << bits) >> draw.choice([0, 3, 6])
    if address & 1:
        return draw.randrange(-1 << OFFSET_BITS - 1, 1 << OFFSET_BITS - 1) >> draw.choice([0, 9])
    return draw.choice([1 << 16, draw.randrange(1 << GAIN_BITS), draw.randrange(1 << 10)])


def some_drive(draw, rows):
    """No row, all, one, or any."""
    some = draw.getrandbits(rows) & draw.getrandbits(rows)
    return draw.choice(
        [0, (1 << rows) - 1, 1 << draw.randrange(rows), some, draw.getrandbits(rows)]
    )


def some_commands(draw, script, count):
    """Random commands, conversions often while a read is going on."""
    p = script.params

    def convert(most):
        for _ in range(draw.randint(0, most)):
            script.convert(draw.randrange(p.columns), draw.choice(list(ReadRange)))

    def pulse():
        own = Pulse.WRITE if p.device.kind == "write" else Pulse.SET
        at = draw.randrange(p.banks), draw.randrange(p.rows), draw.randrange(p.columns)
        for _ in range(draw.choice([1, 1, 3])):
            script.pulse(
                *at, draw.choice([own, own, Pulse.RESET]), draw.randrange(1 << p.cell_bits),
                draw.randrange(p.epochs),
            )  # fmt: skip
        return at

    train = 0
    for _ in range(count):
        dice = draw.random()
        if dice < 0.6:
            bank, sense = draw.randrange(p.banks), p.senses and draw.random() < 0.4
            for pulse_number in range(draw.choice([1, 1, 4])):
                held = pulse_number > 0 or draw.random() < 0.2
                hold = held and train < p.train
                train = train + 1 if hold else 1
                script.read(bank, some_drive(draw, p.rows), hold=hold, sense=sense)
                convert(2)
            if draw.random() < 0.9:
                script.sample()
                convert(2 * p.columns)
        elif dice < 0.8 and p.programmable:
            pulse()
        elif dice < 0.94:
            memory = draw.choice(list(ArrayMemory))
            address = draw.randrange(sizes(p)[memory])
            if memory == ArrayMemory.AGE:
                address = address & ~3 | draw.randrange(3)
            if memory == ArrayMemory.CONVERTER:
                script.wait(CONVERT_LATENCY)
            script.configure(memory, address, some_item(draw, p, memory, address))
        elif dice < 0.96:
            script.restart()
        elif dice < 0.98:
            script.age()
        else:
            at = None
            what = draw.randrange(4 if p.programmable else 3)
            if what == 0:
                script.read(draw.randrange(p.banks), (1 << p.rows) - 1)
            elif what == 1:
                script.age()
            elif what == 2:
                script.restart()
            else:
                at = pulse()
            script.wait(draw.randrange(40))
            script.reset()
            script.restart()
            if at:
                bank, row, column = at
                cell = (bank * p.rows + row) * p.columns + column
                script.configure(ArrayMemory.CELL, cell, some_item(draw, p, ArrayMemory.CELL, cell))
            script.age()


def every_device(script):
    """Every device is read alone."""
    p = script.params
    for a in range(p.converters):
        script.wait(CONVERT_LATENCY)
        address = 2 * (ReadRange.VERIFY * p.converters + a)
        script.configure(ArrayMemory.CONVERTER, address, 1 << 16)
        script.configure(ArrayMemory.CONVERTER, address + 1, 0)
    for bank in range(p.banks):
        for row in range(p.rows):
            script.read(bank, 1 << row)
            script.sample()
            for column in range(p.columns):
                script.convert(column, ReadRange.VERIFY)


#: rows, columns, tiles, blocks, epochs, cell_bits, converters, kind, and more.
CASES = [
    (1, 1, 1, 1, 1, 8, 1, "write", dict(train=1, adc_bits=16)),
    (2, 3, 1, 1, 2, 9, 3, "pulse", dict(adc_bits=1)),
    (3, 2, 2, 1, 1, 10, 2, "write", dict(seed=7, first_entity=3)),
    (5, 8, 3, 2, 4, 11, 3, "write", dict()),
    (8, 5, 1, 3, 2, 12, 2, "pulse", dict(train=4095, adc_bits=16)),
    (13, 13, 2, 3, 8, 10, 1, "pulse", dict(senses=False, seed=(1 << 32) - 1)),
    (13, 3, 3, 1, 1, 12, 1, "write", dict(programmable=False)),
    (64, 17, 1, 2, 1, 8, 5, "write", dict(programmable=False, senses=False)),
]


def made(case, seed):
    """(random generator, parameters, contents) of a case."""
    *numbers, kind, more = case
    rows, columns, tiles, blocks, epochs, bits, converters = numbers
    draw = random.Random(f"{case[:8]} {seed}")
    p = ArrayParams(
        device=some_device(draw, bits, kind), rows=rows, columns=columns, tiles=tiles,
        blocks=blocks, epochs=epochs, converters=converters, **more,
    )  # fmt: skip
    images = {
        memory: [some_item(draw, p, memory, a) for a in range(size)]
        for memory, size in sizes(p).items()
    }
    return draw, p, images


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case[:8])))
@pytest.mark.parametrize("seed", [1])
def test_rtl_is_the_twin(case, seed):
    draw, p, images = made(case, seed)
    built = build(p, images)
    for start in range(3):
        script = Script(p, images=images)
        if start:
            script.age()
        some_commands(draw, script, 250)
        every_device(script)
        script.check(built, f"seed {seed}, script {start}")


@pytest.mark.parametrize("case", CASES[3:5], ids=lambda case: "-".join(map(str, case[:8])))
def test_cycles_of_operations(case):
    """From the command to `ready`, as the docstring of `Array` says."""
    _, p, images = made(case, 1)
    several = p.tiles > 1 and p.blocks > 1
    every = (1 << p.rows) - 1
    operations = [
        (lambda: script.read(p.banks - 1, every), p.rows + 10 + several),
        (lambda: script.read(0, every >> 1), p.rows + 9 + several),
        (lambda: script.read(0, 0), 9 + several),
        (lambda: script.pulse(0, 0, 0, Pulse.RESET), 36 + several),
        (lambda: script.restart(), p.blocks * (7 + several) + 2),
        (lambda: script.age(), p.cells + p.blocks * (11 + 2 * several) + 2),
    ]
    script = Script(p, images=images)
    for operation, _ in operations:
        script.time()
        operation()
        script.time()
    times = script.run(build(p, images))
    # TIME itself takes a cycle.
    taken = [times[k + 1] - times[k] - 1 for k in range(0, 2 * len(operations), 2)]
    assert taken == [cycles for _, cycles in operations], case

"""The testbench of an artefact: cocotb tests with stored vectors that need no Nervure."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from hdl.params.noc import ConfigOp
from mapping.mapped import Mapped
from mapping.program import Program
from sim import protocol
from sim.expected import expected
from sim.golden.network import Golden
from sim.states import fields, keys, probe_runs, state_bits, state_chunks
from sim.stimulus import Stimulus, quantise_inputs
from sim.words import cores, load_words, split_marks

__all__ = ["export_testbench", "random_inputs"]

TEMPLATES = Path(__file__).resolve().parent / "harness" / "templates"
FILES = ("Makefile", "README.md", "compare.py", "ports.vlt", "test_nervure.py", "test_runner.py")

#: Words of stimulus and of answers that are stored at most; a word is a line of about 12 bytes.
MOST_WORDS = 25_000
#: Steps of a sample of random input.
RANDOM_STEPS = 20


def random_inputs(
    program: Program,
    samples: int = 4,
    steps: int = RANDOM_STEPS,
    *,
    rate: float = 0.2,
    seed: int = 1,
) -> np.ndarray:
    """Integer inputs [samples, steps, inputs]: a share `rate` of them is active each step.

    The first step has every input active, the last of each sample none.
    """
    rng = np.random.default_rng(seed)
    half = 1 << max(program.formats.payload_bits - 1, 0)
    parts = [np.zeros((samples, steps, 0), np.int64)]
    for i in program.inputs:
        shape = (samples, steps, i.size)
        active = rng.random(shape) < rate
        active[:, 0] = True
        active[:, steps - 1 :] = steps == 1
        value = rng.integers(-half, half, shape) if i.graded else np.ones(shape, np.int64)
        parts.append(np.where(active, value, 0))
    return np.concatenate(parts, axis=2)


def export_testbench(
    mapped: Mapped, directory: Path | str, stimulus: Stimulus | None, *, samples: int = 4
) -> Path:
    """Writes `directory`/tb, which tests `directory`/rtl; same arguments, same bytes.

    stimulus : its first `samples` samples become vectors, fewer or shorter ones if they are long;
        None: seeded random input.
    """
    folder = Path(directory) / "tb"
    folder.mkdir(parents=True, exist_ok=True)
    if stimulus is None:
        inputs = random_inputs(mapped.program, samples)
        lengths = np.full(samples, inputs.shape[1])
        source = "random"
    else:
        inputs = quantise_inputs(mapped.program, stimulus)[:samples]
        lengths = np.asarray(stimulus.lengths[:samples])
        source = "stimulus"
    records, words, answers = _vectors(mapped, inputs, lengths)
    load = load_words(mapped)
    if len(load) > MOST_WORDS:
        load = load[:0]
    for name in FILES:
        (folder / name).write_bytes((TEMPLATES / name).read_bytes())
    digits = -(-mapped.host.word_bits // 4)
    _write_words(folder / "stimulus.hex", words, digits)
    _write_words(folder / "expected.hex", answers, digits)
    _write_words(folder / "load.hex", [load] if len(load) else [], digits, "core")
    layout = {**_layout(mapped), "samples": records, "load_words": len(load), "source": source}
    lines = (
        f" {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}"
        for k, v in sorted(layout.items())
    )
    (folder / "layout.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return folder


def _vectors(
    mapped: Mapped, inputs: np.ndarray, lengths: np.ndarray
) -> tuple[list[dict[str, int]], list[np.ndarray], list[np.ndarray]]:
    """Records, words and answers of the samples that fit; the first is cut rather than left out."""
    golden = Golden(mapped.program)
    records: list[dict[str, int]] = []
    words: list[np.ndarray] = []
    answers: list[np.ndarray] = []
    room = MOST_WORDS
    for sample, length in zip(inputs, lengths.tolist(), strict=True):
        part = sample[None, :length]
        while True:
            result = golden.run(part)
            answer = expected(mapped, result.outputs, result.snapshot())
            word = protocol.encode(mapped, part, probe=True)
            if records or part.shape[1] <= 1 or max(len(word), len(answer)) <= room:
                break
            part = part[:, : part.shape[1] // 2]
        room -= max(len(word), len(answer))
        if records and room < 0:
            break
        records.append(
            {
                "steps": int(part.shape[1]),
                "words": len(word),
                "answers": len(answer),
                "marks": protocol.replies(mapped, part.shape[1], probe=True),
                "compared_bits": _compared_bits(mapped, part.shape[1]),
            }
        )
        words.append(word)
        answers.append(answer)
    for answer, record in zip(answers, records, strict=True):
        assert split_marks(mapped, answer)[0].sum() == record["marks"]
    return records, words, answers


def _compared_bits(mapped: Mapped, steps: int) -> int:
    outputs = mapped.program.output_size * max(mapped.mesh.flit.value_bits, 1)
    return steps * outputs + state_bits(mapped.program)


def _write_words(path: Path, parts: list[np.ndarray], digits: int, what: str = "sample") -> None:
    lines = []
    for number, part in enumerate(parts):
        lines.append(f"# {what} {number}" if what == "sample" else "# all memories")
        lines += [f"{word:0{digits}x}" for word in part.tolist()]
    path.write_text("\n".join(lines) + "\n")


def _layout(mapped: Mapped) -> dict[str, Any]:
    """What the words mean, and where each neuron lives."""
    flit, program, schedule = mapped.mesh.flit, mapped.program, mapped.schedule
    outputs, first = [], 0
    for name in program.outputs:
        p = program.population(name)
        outputs.append({"population": name, "first": first, "size": p.size, "level": p.level})
        first += p.size
    own = {p.name: keys(program, p) for p in program.populations}
    widths = {name: key.bits for kept in own.values() for name, key in kept.items()}
    state, at = [], 0
    for name in ("membrane", "current", "sent"):
        if bits := widths.get(name, 0):
            state.append((name, at, bits))
            at += bits
    busy = sum(
        core.synapse_words + core.slots * entries + core.update_cycles
        for core, entries in zip(mapped.mesh.cores, mapped.mesh.entries, strict=True)
        if core is not None
    )
    return {
        "name": program.name,
        "word": {
            "bits": mapped.host.word_bits,
            "mark_bit": mapped.host.body_bits,
            "config_bit": flit.body_bits,
            "tag_bits": flit.tag_bits,
            "value_bits": flit.value_bits,
            "chunk_bits": flit.chunk_bits,
            "select": int(ConfigOp.SELECT),
        },
        "mesh": {"width": flit.width, "height": flit.height, "cores": len(list(cores(mapped)))},
        "schedule": {"interval": schedule.interval, "depth": schedule.depth},
        "outputs": outputs,
        "state": state,
        # What dendrites remember; a place counts through rows of so many columns.
        "behind": [
            {"population": f.population, "key": f.key, "tile": tile, "items": f.items.tolist(),
             "places": f.places.tolist(), "columns": math.prod(own[f.population][f.key].shape[1:]),
             "shift": f.shift, "bits": f.bits, "signed": f.signed}
            for tile, core in cores(mapped)
            for f in fields(mapped, tile) if f.items[0] >= core.slots
        ],
        "slots": {
            name: {"tile": tile.tolist(), "slot": slot.tolist()}
            for name, (tile, slot) in mapped.slots.items()
        },
        "probes": [
            {"tile": tile, "first": int(items[0]), "count": len(items),
             "chunks": state_chunks(mapped, core)}
            for tile, core, items in probe_runs(mapped)
        ],
        # Cycles without a word after which the fabric hangs: all its work of a step, and more.
        "deadline": 10_000 + 8 * busy,
    }  # fmt: skip

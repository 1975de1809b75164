"""What the fabric answered against what it must answer, word for word; no package is needed.

A host word, lowest bits first: body, kind (1 = configuration reply), destination, and on top
the bit that tells a MARK. Events of one tick may come in any order and are sorted; MARKs carry
a cycle count, which is not compared.
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAYOUT = json.loads((HERE / "layout.json").read_text())
WORD = LAYOUT["word"]
MARK = 1 << WORD["mark_bit"]
CONFIG = 1 << WORD["config_bit"]


def read_hex(name: str) -> list[int]:
    """The words of a file: one hexadecimal number a line, `#` begins a comment."""
    lines = (line.split("#")[0].strip() for line in (HERE / name).read_text().splitlines())
    return [int(line, 16) for line in lines if line]


def segments(words: list[int]) -> list[list[int]]:
    """Words between MARKs: events sorted, then configuration replies in order."""
    found: list[list[int]] = [[]]
    for word in words:
        if word & MARK:
            found.append([])
        else:
            found[-1].append(word)
    return [sorted(w for w in s if not w & CONFIG) + [w for w in s if w & CONFIG] for s in found]


def signed(value: int, bits: int) -> int:
    half = 1 << bits >> 1
    return ((value & ((1 << bits) - 1)) ^ half) - half


def core(tile: int) -> str:
    y, x = divmod(tile, LAYOUT["mesh"]["width"])
    return f"core ({x}, {y})"


def show(value: int | None, bits: int) -> str:
    """A value in hexadecimal and decimal, or that there is none."""
    if value is None:
        return "nothing"
    return f"0x{value & ((1 << bits) - 1):0{-(-bits // 4)}x} ({value})"


def neuron_name(population: str, neuron: int) -> str:
    place = LAYOUT["slots"][population]
    tile, slot = place["tile"][neuron], place["slot"][neuron]
    return f"{core(tile)}, neuron {population}[{neuron}] (slot {slot})"


def output_name(number: int) -> tuple[str, int] | None:
    """Text and level of an output number."""
    for output in LAYOUT["outputs"]:
        if output["first"] <= number < output["first"] + output["size"]:
            return neuron_name(output["population"], number - output["first"]), output["level"]
    return None


def event_values(words: list[int]) -> dict[int, list[int]]:
    """Output number to the values that came."""
    found: dict[int, list[int]] = {}
    bits = WORD["value_bits"]
    for word in words:
        number = word >> bits & ((1 << WORD["tag_bits"]) - 1)
        found.setdefault(number, []).append(signed(word, bits) if bits else 1)
    return found


def compare_events(expected: list[int], found: list[int], tick: int) -> list[str]:
    bits = max(WORD["value_bits"], 1)
    right, got = event_values(expected), event_values(found)
    problems = []
    for number in sorted(set(right) | set(got)):
        a, b = right.get(number, []), got.get(number, [])
        if a == b:
            continue
        named = output_name(number)
        if named is None:
            problems.append(f"tick {tick}: unknown output {number} came")
            continue
        text, level = named
        step, rest = divmod(tick - level + 1, LAYOUT["schedule"]["interval"])
        when = f"step {step}" if not rest and step >= 0 else f"tick {tick} (not its turn)"
        if len(b) > 1:
            problems.append(f"{when}, {text}: output came {len(b)} times, expected {len(a)}")
            continue
        wanted, value = (show(v[0] if v else None, bits) for v in (a, b))
        problems.append(f"{when}, {text}: output expected {wanted}, found {value}")
    return problems


def compare_states(run: dict, expected: list[int], found: list[int], steps: int) -> list[str]:
    """State after the last step, of one run of items."""
    if len(expected) != len(found):
        where = f"{core(run['tile'])}, items from {run['first']} on"
        return [f"{where}: {len(found)} state replies came, expected {len(expected)}"]
    chunks, chunk = run["chunks"], WORD["chunk_bits"]
    mask = (1 << chunk) - 1
    fields = [
        (tile, slot, neuron_name(population, neuron), name, shift, bits, True)
        for population, place in LAYOUT["slots"].items()
        for neuron, (tile, slot) in enumerate(zip(place["tile"], place["slot"], strict=True))
        for name, shift, bits in LAYOUT["state"]
    ]
    for f in LAYOUT["behind"]:
        for item, place in zip(f["items"], f["places"], strict=True):
            row, column = divmod(place, f["columns"])
            name = f"{f['key']}[{row}]" + f"[{column}]" * (f["columns"] > 1)
            text = f"{core(f['tile'])}, {f['population']}"
            fields.append((f["tile"], item, text, name, f["shift"], f["bits"], f["signed"]))
    problems = []
    for tile, item, text, name, shift, bits, is_signed in fields:
        k = item - run["first"]
        if tile != run["tile"] or not 0 <= k < run["count"]:
            continue
        a, b = (
            sum((w & mask) << (chunk * i) for i, w in enumerate(ws[k * chunks : (k + 1) * chunks]))
            >> shift
            & ((1 << bits) - 1)
            for ws in (expected, found)
        )
        if a != b:
            a, b = (signed(v, bits) if is_signed else v for v in (a, b))
            problems.append(
                f"after step {steps - 1}, {text}: {name} expected {show(a, bits)}, "
                f"found {show(b, bits)}"
            )
    return problems


def compare(expected: list[int], found: list[int], samples: list[dict]) -> list[str]:
    """All differences, in order of time, each one line; empty if every bit agrees."""
    right, got = segments(expected), segments(found)
    problems = []
    if len(right) != len(got):
        problems.append(f"{len(got) - 1} MARKs came, expected {len(right) - 1}")
    at = 0
    for number, sample in enumerate(samples):
        runs = LAYOUT["probes"]
        probes_from = sample["marks"] - len(runs)
        for turn in range(sample["marks"]):
            if at + turn >= len(got):
                break
            a, b = right[at + turn], got[at + turn]
            if a == b:
                continue
            states, found_states = ([w for w in words if w & CONFIG] for words in (a, b))
            events, found_events = ([w for w in words if not w & CONFIG] for words in (a, b))
            here = compare_events(events, found_events, turn - 2)
            if turn >= probes_from:
                run = runs[turn - probes_from]
                here += compare_states(run, states, found_states, sample["steps"])
            elif states != found_states:
                here.append(f"tick {turn - 2}: a configuration reply that nobody asked for")
            here = here or [f"tick {turn - 2}: words differ in bits that mean nothing"]
            problems += [f"sample {number}, {text}" for text in here]
        at += sample["marks"]
    return problems

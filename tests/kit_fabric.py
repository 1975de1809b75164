"""A Program as a Verilated fabric, and its runs against golden, with seeded stalls."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hdl.emit import emit_verilog
from hdl.fabric import Fabric
from hdl.params.neuron import FIELDS, Emit, Reset
from mapping.mapped import Mapped, Target
from mapping.mapper import map_program
from mapping.program import Formats, Population, Program, Projection
from sim.golden.network import Golden
from sim.rtl import Rtl, Stalls
from sim.words import cores, item_bits

__all__ = ["Built", "all_to_all", "build", "garbage", "population"]


@dataclass(frozen=True)
class Built:
    """A compiled fabric and what it must do."""

    program: Program
    mapped: Mapped
    rtl: Rtl

    def check(
        self,
        inputs: np.ndarray,
        *,
        lengths: np.ndarray | None = None,
        stalls: Stalls | None = None,
        load: bool = False,
        where: str = "",
    ) -> None:
        """Every output and every probed state must be golden's."""
        golden = Golden(self.program).run(inputs, lengths)
        assert golden.outputs.any(), "the test is empty: no output"
        result = self.rtl.run(inputs, lengths, probe=True, stalls=stalls, load=load)
        where = f"{where} {stalls}"
        assert result.errors == (), where
        np.testing.assert_array_equal(result.outputs, golden.outputs, where)
        for name, state in golden.final.items():
            np.testing.assert_array_equal(result.final[name]["membrane"], state.membrane, where)
            if self.program.formats.current_bits:
                np.testing.assert_array_equal(result.final[name]["current"], state.current, where)
        for name, inner in golden.inner.items():
            for key, value in inner.items():
                np.testing.assert_array_equal(result.final[name][key], value, f"{where} {key}")


def garbage(mapped: Mapped, seed: int) -> list[dict | None]:
    """Images of the right sizes with random contents."""
    draw = random.Random(f"garbage {seed}")
    images: list[dict | None] = [None] * len(mapped.images)
    for tile, core in cores(mapped):
        image = mapped.images[tile]
        assert image is not None
        images[tile] = {
            memory: [draw.getrandbits(item_bits(core, memory, mapped)) for _ in items]
            for memory, items in image.items()
        }
    return images


def build(program: Program, folder: Path, *, contents=True, **target) -> Built:
    """The fabric of a Program. `contents`: True for the right images, else the images to use."""
    mapped = map_program(program, Target(**target))
    images = mapped.images if contents is True else contents
    if callable(images):
        images = images(mapped)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in emit_verilog(Fabric(mapped.mesh, mapped.host, images), "nervure").items():
        (folder / name).write_text(text)
    return Built(program, mapped, Rtl(mapped, sorted(folder.iterdir()), optimise=False))


def population(name: str, size: int, level: int, formats: Formats, **fields: int) -> Population:
    """Neurons that keep nothing and fire when their input is positive, unless `fields` differ."""
    values = dict.fromkeys(FIELDS, 0) | {"emit": int(Emit.SPIKE), "reset": int(Reset.SET)} | fields
    return Population(
        name=name,
        kind="LIF",
        size=size,
        level=level,
        fields={key: np.full(size, int(values[key]), dtype=np.int64) for key in FIELDS},
        membrane_scale=np.ones(size),
        node=name,
    )


def all_to_all(
    source: str,
    target: str,
    weights: np.ndarray,
    *,
    delay: int = 0,
    exponent: int = 0,
    bits: int = 8,
) -> Projection:
    """Every weight of the matrix [source, target] is a synapse."""
    rows, columns = weights.shape
    return Projection(
        source=source,
        target=target,
        indptr=np.arange(rows + 1, dtype=np.int64) * columns,
        indices=np.tile(np.arange(columns, dtype=np.int64), rows),
        weights=weights.reshape(-1).astype(np.int64),
        weight_bits=bits,
        exponent=exponent,
        delay=delay,
        node=f"{source}-{target}",
    )

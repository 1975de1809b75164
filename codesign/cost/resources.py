"""What a fabric will take of an FPGA, before anything is synthesised."""

from __future__ import annotations

from dataclasses import dataclass

from codesign.cost.design import Design
from codesign.cost.model import Model, default_model
from hdl.params.host import HostParams
from hdl.params.noc import MeshParams

__all__ = ["Resources", "resources"]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """An estimate of what `nervure synth` prints; `warnings` say where the model was not fitted."""

    lut: int
    ff: int
    bram: int
    dsp: int
    fmax_mhz: float
    warnings: tuple[str, ...] = ()


def resources(
    mesh: MeshParams, host: HostParams, *, board: bool = True, model: Model | None = None
) -> Resources:
    """The estimate for an ECP5 of speed grade 6, with a board's top (PLL, serial link) or without.

    `model` : another one than the shipped, `Model.corrected` for instance.
    """
    design = Design.of(mesh, host, board)
    model = model or default_model()
    figures = model.figures(design)
    return Resources(
        lut=round(float(figures["lut"])),
        ff=round(float(figures["ff"])),
        bram=int(figures["bram"]),
        dsp=int(figures["dsp"]),
        fmax_mhz=round(float(figures["fmax_mhz"]), 2),
        warnings=model.warnings(design),
    )

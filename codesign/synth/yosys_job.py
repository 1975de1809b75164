"""The Yosys run itself: started as a module in its own process, reads one JSON job file.

Yosys logs to standard output and holds its memory, so it never runs in the caller's process.
The flow is `synth_ecp5`, stopped before and after the memory mapping to see what each memory
became.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from codesign.synth.dspreg import absorb_multipliers
from codesign.synth.outreg import absorb

_CELL = re.compile(r"(.+)\.\d+\.\d+")


def _belongs(cell: str, memory: str) -> bool:
    """Whether a RAM cell holds part of this memory."""
    match = _CELL.fullmatch(cell)
    return match is not None and match[1] == memory


def _memories(module: Any) -> dict[str, dict[str, Any]]:
    """The memories of a flattened module that are not mapped yet, by name."""
    found = {}
    for cell in module.cells_.values():
        if not cell.type.str().startswith("$mem"):
            continue
        values = {str(key).lstrip("\\"): value for key, value in cell.parameters.items()}
        width, depth = values["WIDTH"].as_int(), values["SIZE"].as_int()
        found[cell.name.str().lstrip("\\")] = {
            "bits": width * depth,
            "width": width,
            "depth": depth,
            "read_ports": values["RD_PORTS"].as_int(),
            "write_ports": values["WR_PORTS"].as_int(),
            "collisions": _keeps_collisions(values),
        }
    return found


def _keeps_collisions(values: dict[str, Any]) -> bool:
    """Whether a clocked read port must return the old word when that word is being written."""
    clocked = "1" in values["RD_CLK_ENABLE"].as_string()
    written = values["WR_PORTS"].as_int() > 0
    return clocked and written and "0" in values["RD_COLLISION_X_MASK"].as_string()


def _mapped(module: Any, before: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What became of every memory, after the mapping to block RAM and LUT RAM."""
    left = _memories(module)
    cells: dict[str, list[str]] = {}
    for cell in module.cells_.values():
        owner = _CELL.fullmatch(cell.name.str().lstrip("\\"))
        if owner and owner[1] in before:
            cells.setdefault(owner[1], []).append(cell.type.str().lstrip("\\"))
    rows = []
    for name, memory in sorted(before.items()):
        types = cells.get(name, [])
        unmapped = name in left
        rows.append(
            {
                "name": name,
                **memory,
                "dp16kd": sum(kind in ("DP16KD", "PDPW16KD") for kind in types),
                "dpr16x4": types.count("TRELLIS_DPR16X4"),
                "ff": memory["bits"] if unmapped and memory["write_ports"] else 0,
                "rom": unmapped and not memory["write_ports"],
            }
        )
    return rows


def _rename_parts(ys: Any, module: Any) -> None:
    """Renames wires "x[0]" beside a wire "x" of a flattened module (Amaranth has them for arrays).

    abc9 names bits so, and puts its result back by name: it would take the wire for bit 0 of x and
    stop ("GetSize(conn.first) == GetSize(conn.second)").
    """
    for wire in list(module.wires_.values()):
        name = wire.name.str()
        if name.endswith("]") and not wire.port_id:
            plain = re.sub(r"[\[\]]", "_", name)
            module.rename(wire, module.uniquify(ys.IdString(plain)))


def main(job_path: str) -> None:
    """Synthesise what the job file says; write the netlist and the statistics it names."""
    from pyosys import libyosys as ys

    job = json.loads(Path(job_path).read_text())
    design = ys.Design()

    def run(command: str) -> None:
        ys.run_pass(command, design)

    run("read_verilog -sv " + " ".join(f'"{source}"' for source in job["sources"]))
    run("read_verilog -lib -specify +/ecp5/cells_sim.v +/ecp5/cells_bb.v")  # PLLs and the like
    run(f"hierarchy -check -top {job['top']}" if job["top"] else "hierarchy -check -auto-top")
    module = design.top_module()
    top = module.name.str().lstrip("\\")
    ports = [
        [wire.name.str().lstrip("\\"), wire.width, "input" if wire.port_input else "output"]
        for wire in module.wires_.values()
        if wire.port_id
    ]
    base = f"synth_ecp5 -top {top} {job['options']}"
    run(f"{base} -run begin:map_ram")
    _rename_parts(ys, design.top_module())
    before = _memories(design.top_module())
    run(f"{base} -run map_ram:map_ffram")
    memories = _mapped(design.top_module(), before)
    run(f"{base} -run map_ffram:")
    run("setattr -unset src =t:* =w:*")  # where the sources stood is no part of the result
    run("setattr -mod -unset src =*")
    run("write_json netlist.json")
    netlist = json.loads(Path("netlist.json").read_text())
    mapped = netlist["modules"][top]
    outcome = {}
    if job["output_registers"]:
        outcome = absorb(mapped)
        absorb_multipliers(mapped)
    Path("netlist.json").write_text(json.dumps(netlist, separators=(",", ":")))
    for row in memories:
        said = [text for name, text in outcome.items() if _belongs(name, row["name"])]
        row["output_register"] = bool(said) and not any(said)
        row["no_output_register_because"] = next((text for text in said if text), "")
    cells: dict[str, int] = {}
    for entry in mapped["cells"].values():
        cells[entry["type"]] = cells.get(entry["type"], 0) + 1
    result = {"top": top, "ports": sorted(ports), "cells": cells, "memories": memories}
    Path("statistics.json").write_text(json.dumps(result, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1])

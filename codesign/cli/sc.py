"""`nervure sc`: the library of stochastic-computing units."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.console import Json, Quiet, Terminal
from hdl.params.errors import UserError

__all__ = ["register"]

app = typer.Typer(
    no_args_is_help=True,
    help="Stochastic-computing units: list, emit, study, cost.",
    epilog="Start with: nervure sc list; nervure sc emit umul -o umul --param width=8",
)

Params = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE; once for each.")
]


def _given(params: list[str] | None) -> dict[str, str]:
    """NAME=VALUE as a dictionary."""
    given = {}
    for text in params or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--param must be NAME=VALUE, not {text!r}")
        given[name.strip().replace("-", "_")] = value.strip()
    return given


@app.command("list")
def list_(
    unit: Annotated[str | None, typer.Argument(help="One unit, with its parameters.")] = None,
    json: Json = False,
) -> None:
    """List the units, or the parameters of one.

    Example: nervure sc list umul
    """
    from codesign.cli.tables import table
    from codesign.sc.units import find_unit, units

    terminal = Terminal(json=json)
    if unit is None:
        found = units()
        terminal.result([{"unit": u.name, "family": u.family, "summary": u.summary} for u in found])
        rows = [[u.name, u.family, u.summary.split(" (equation")[0]] for u in found]
        terminal.show(table("Units", ["unit", "family", "what it is"], rows))
        return
    one = find_unit(unit)
    parameters = one.parameters()
    ports = [
        {"port": p.name, "direction": p.direction, "kind": p.kind, "bits": p.bits}
        for p in one.make().ports
    ]
    terminal.result(
        {"unit": one.name, "family": one.family, "summary": one.summary,
         "parameters": parameters, "ports": ports}
    )  # fmt: skip
    terminal.show(
        f"[bold]{one.name}[/] ({one.family}): {one.summary}\n",
        table("Parameters", ["name", "type", "default", "example"],
              [[p["name"], p["type"], p["default"], p["example"]] for p in parameters]),
        "",
        table("Ports of the example", ["port", "direction", "kind", "bits"],
              [list(p.values()) for p in ports], "   r"),
        f"\nEquation: hdl/params/sc/{one.module}.py",
    )  # fmt: skip


@app.command()
def emit(
    unit: Annotated[str, typer.Argument(help="The unit; see nervure sc list.", show_default=False)],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Directory to write.", show_default=False)
    ],
    param: Params = None,
    length: Annotated[int, typer.Option(help="Cycles of each stored run of the testbench.")] = 256,
    seed: Annotated[int, typer.Option(help="Of the stored inputs.")] = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a unit's Verilog with a cocotb testbench that needs no Nervure.

    Example: nervure sc emit umul -o umul --param width=8 --param encoding=bipolar
    """
    terminal = Terminal(json=json, quiet=quiet)
    if not 1 <= length <= 65536:
        raise UserError(f"--length must be in 1..65536, not {length}: an empty stream says nothing")
    with terminal.work() as work:
        work("loading")
        from codesign.sc.emit import emit_unit
        from codesign.sc.units import find_unit

        one = find_unit(unit)
        params = one.make(_given(param))
        work(f"generating {one.name}")
        files = emit_unit(one, params, out, length=length, seed=seed)
    terminal.result({"unit": one.name, "directory": str(out), "files": files})
    terminal.show(f"{one.name}: {len(files)} files in {out}; test it: cd {out / 'tb'} && make")


@app.command("study")
def study_(
    scheme: Annotated[
        list[str] | None,
        typer.Option("--scheme", "-s", help="A scheme, or generators 'A x B'; once for each."),
    ] = None,
    length: Annotated[
        list[int] | None, typer.Option("--length", "-l", help="Stream length; once for each.")
    ] = None,
    operands: Annotated[int, typer.Option(help="Random operand pairs for each length.")] = 400,
    bipolar: Annotated[bool, typer.Option("--bipolar", help="XNOR of bipolar streams.")] = False,
    seed: Annotated[int, typer.Option(help="Of the operands.")] = 1,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write a page with plots (.html).")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Error of a product against stream length, by choice of generators.

    Example: nervure sc study -s sobol -s "sobol:1 x lfsr:seed=9" -l 64 -l 256 -o study.html
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.cli.tables import table
        from codesign.sc.study import SCHEMES, progressive, study

        lengths = tuple(sorted(set(length))) if length else (16, 64, 256, 1024, 4096)
        found = study(
            tuple(scheme or SCHEMES), lengths, operands=operands, bipolar=bipolar, seed=seed,
            progress=work,
        )  # fmt: skip
        work("progressive precision")
        early = progressive(seed=seed)
        if out is not None:
            from codesign.sc.plot import write_study

            write_study(out, found, early, operands=operands, bipolar=bipolar, seed=seed)
    terminal.result({"products": [vars(s) for s in found], "progressive": early})
    what = "bipolar XNOR" if bipolar else "unipolar AND"
    rows = [
        [s.scheme, *(f"{r:.5f}" for r in s.rms), "–" if s.exponent is None else f"{s.exponent:.2f}"]
        for s in found
    ]
    head = ["scheme", *(f"N={n}" for n in lengths), "N^"]
    title = f"RMS error of the {what} product, {operands} operand pairs"
    wide = "l" + "r" * (len(lengths) + 1)
    cycles = early[0]["cycles"]
    terminal.show(
        table(title, head, rows, wide),
        "",
        table("RMS error of a value of 8 bits read after T cycles",
              ["generator", *(f"T={t}" for t in cycles)],
              [[row["source"], *(f"{r:.4f}" for r in row["rms"])] for row in early],
              "l" + "r" * len(cycles)),
    )  # fmt: skip
    if out is not None:
        terminal.show(f"\nPlots: {out}")


@app.command("cost")
def cost_(
    unit: Annotated[
        list[str] | None, typer.Argument(help="Units or families; all if none.")
    ] = None,
    param: Params = None,
    seeds: Annotated[int, typer.Option(help="Placements of each; the best clock counts.")] = 3,
    markdown: Annotated[bool, typer.Option("--markdown", help="As in the documentation.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Synthesise units for an ECP5 (speed 6, out of context): LUTs, flip-flops, clock.

    Example: nervure sc cost umul --param width=8
    """
    terminal = Terminal(json=json, quiet=quiet)
    if not 1 <= seeds <= 100:
        raise UserError(f"--seeds must be in 1..100, not {seeds}")
    with terminal.work() as work:
        work("loading")
        from codesign.cli.tables import table
        from codesign.sc.cost import cost
        from codesign.sc.cost import markdown as as_markdown
        from codesign.sc.units import FAMILIES, find_unit, units

        chosen = []
        for name in unit or list(FAMILIES):
            inside = [u for u in units() if u.family == name]
            chosen += inside or [find_unit(name)]
        rows = [cost(one, _given(param), seeds=seeds, progress=work) for one in chosen]
    terminal.result(rows)
    if markdown and not json:
        print(as_markdown(rows))
        return
    shown = [
        [r["unit"], ", ".join(f"{k}={v}" for k, v in r["parameters"].items()), r["comb"], r["ff"],
         r["bram"], r["dsp"], r["fmax_mhz"]]
        for r in rows
    ]  # fmt: skip
    columns = ["unit", "parameters", "COMB", "FF", "BRAM", "DSP", "MHz"]
    terminal.show(table("ECP5, speed 6, out of context", columns, shown, "llrrrrr"))


def register(parent: typer.Typer) -> None:
    """Adds the commands."""
    parent.add_typer(app, name="sc")

"""`nervure device`: memristive devices, what programming takes, how answers fare with age."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from codesign.cli.build import Directory
from codesign.cli.console import Json, Quiet, Terminal
from hdl.params.errors import UserError

__all__ = ["register"]

app = typer.Typer(
    no_args_is_help=True,
    help="Memristive devices: list, plot, program, evaluate.",
    epilog="Start with: nervure device list; nervure device plot pcm -o pcm.html",
)

Table = Annotated[
    Path | None, typer.Option("--device-table", help="A table of devices of your own (.toml).")
]
Name = Annotated[
    str, typer.Argument(help="The device; see nervure device list.", show_default=False)
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", help="SETTING=VALUE of crossbars, as stuck=0.01; once for each."),
]


def _crossbars(device: str, table: Path | None, given: list[str] | None, **more: Any) -> Any:
    """The settings: `given` ones, and `more` that are not None."""
    from codesign.crossbar.settings import Crossbars
    from codesign.settings import assigned

    known = sorted({f.name for f in fields(Crossbars)} - {"device", "device_table"})
    values = assigned(given)
    for name in values:
        if name not in known:
            raise UserError(f"--set: unknown setting {name!r}; known: {', '.join(known)}")
    values |= {name: value for name, value in more.items() if value is not None}
    return Crossbars(device=device, device_table=table, **values)


@app.command("list")
def list_(table: Table = None, json: Json = False) -> None:
    """List the devices.

    Example: nervure device list --device-table mine.toml
    """
    from codesign.cli.tables import table as show
    from sim.device.table import load_devices

    terminal = Terminal(json=json)
    found = []
    for name, device in load_devices(table).items():
        half = device.g_max / 2
        made = device.write_sigma(half) if device.kind == "write" else device.set_sigma(half)
        found.append({
            "device": name, "kind": device.kind, "g_max_us": device.g_max,
            "write_sigma_us": float(made), "drift_exponent": float(device.drift_mean(half)),
            "read_sigma_us": float(half * device.read_sigma(half) * device.growth(0.0)),
            "source": device.source,
        })  # fmt: skip
    terminal.result({"devices": found})
    columns = ["device", "kind", "g_max, uS", "pulse sd", "drift", "read sd", "source"]
    terminal.show(show("Devices (at half of g_max)", columns,
                       [list(row.values()) for row in found], "llrrrr"))  # fmt: skip


@app.command()
def plot(
    device: Name,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Page to write (.html).", show_default=False)
    ],
    table: Table = None,
    settings: Set = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Distributions, drift, spectrum of reads, program-and-verify of a device, as a page.

    Example: nervure device plot pcm-pulse -o pcm-pulse.html --set cell_bits=10
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.cli.tables import table as show
        from codesign.crossbar.plot import write_device_page
        from sim.device.table import find_device

        crossbars = _crossbars(device, table, settings)
        sections = write_device_page(out, find_device(device, table), crossbars, progress=work)
    terminal.result({"page": str(out), "sections": sections})
    for section in sections:
        if "rows" in section:
            wide = "l" + "r" * (len(section["head"]) - 1)
            terminal.show(show(section["title"], section["head"], section["rows"], wide), "")
    terminal.show(f"Wrote {out}")


@app.command()
def program(
    matrix: Annotated[
        Path, typer.Argument(help="Weights [inputs, outputs], .npy or .npz.", show_default=False)
    ],
    device: Annotated[str, typer.Option(help="See nervure device list.")] = "pcm",
    table: Table = None,
    tolerance: Annotated[
        float | None, typer.Option(help="In standard deviations of a read; .5 if not given.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="redraw or feedback.")] = None,
    weight_bits: Annotated[int, typer.Option(help="Bits that weights are rounded to.")] = 8,
    settings: Set = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Conductances and pulses (.npz).")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put a weight matrix through program-and-verify: pulses, residual error, time, energy.

    Example: nervure device program weights.npy --device pcm --tolerance 0.25 -o cells.npz
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.cli.tables import figures
        from codesign.crossbar.matrix import program_matrix, read_matrix
        from codesign.simulate import check_file
        from sim.npz import write_npz

        crossbars = _crossbars(
            device, table, settings, program_tolerance=tolerance, program_policy=policy
        )
        weights = read_matrix(matrix)
        if out is not None:
            check_file(out)
        work("programming")
        found, arrays = program_matrix(weights, crossbars, weight_bits=weight_bits)
        if out is not None:
            write_npz(out, arrays)
    terminal.result(found.to_json())
    rows = [
        ("weights", f"{found.shape[0]} x {found.shape[1]}"),
        ("devices, banks", f"{found.devices:,}, {found.banks}"),
        ("pulses a device, most", f"{found.pulses_per_device:.2f}, {len(found.histogram) - 1}"),
        ("tolerance, of g_max", f"{found.tolerance:.2%}"),
        ("error of devices, of g_max", f"{found.error:.2%}"),
        ("error of weights, of the largest", f"{found.weight_error:.2%}"),
        ("failed, columns moved", f"{found.failed:,}, {found.moved}"),
        ("time, one device at a time", f"{found.seconds:.3g} s"),
        ("energy of pulses and reads", f"{found.joules * 1e6:.3g} uJ"),
    ]
    terminal.show(figures(f"Program-and-verify, {found.device}", rows))
    if out is not None:
        terminal.show(f"Wrote {out}")


@app.command()
def evaluate(
    directory: Directory,
    input: Annotated[
        Path, typer.Option("--input", "-i", help="Labelled data (.npz).", show_default=False)
    ],
    age: Annotated[
        list[str] | None, typer.Option(help="Time since programming, as 1h; once for each.")
    ] = None,
    compensation: Annotated[
        list[str] | None, typer.Option(help="none, global or column; once for each.")
    ] = None,
    members: Annotated[
        list[int] | None, typer.Option("--members", "-m", help="Of an ensemble; once for each.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Labelled data for the temperature (.npz).")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Of scores, if not fitted.")] = None,
    strange: Annotated[
        list[Path] | None, typer.Option(help="Data from elsewhere (.npz); once for each.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Only the first N samples.")] = None,
    rtl: Annotated[bool, typer.Option("--rtl", help="Run the RTL too, bit for bit.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Accuracy and calibration of crossbar layers over drift, for ensembles of noisy runs.

    Without --age: 1 s, 1 h, 1 day, 1 month; without --compensation: none and column.

    Example: nervure device evaluate build -i test.npz --calibration train.npz -m 1 -m 4 -m 16
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.artefact import Artefact
        from codesign.cli.tables import table as show
        from codesign.crossbar.age import duration, in_seconds
        from codesign.crossbar.evaluate import evaluate_devices
        from codesign.evaluate import first_samples
        from codesign.report import write_report
        from codesign.report.devices import device_section
        from codesign.simulate import read_input

        if temperature is not None and not 0 < temperature < float("inf"):
            raise UserError(f"--temperature: must be a positive number, not {temperature:g}")
        artefact = Artefact.open(directory)

        def read(path: Path) -> Any:
            return first_samples(read_input(artefact, path), samples)

        names = [path.stem for path in strange or []]
        if len(set(names)) < len(names):
            raise UserError(f"--strange: the files' names must differ, not {', '.join(names)}")
        stimulus = read(input)
        found = evaluate_devices(
            artefact, stimulus,
            ages=[in_seconds(a) for a in age or ("1", "1h", "1d", "1month")],
            compensations=compensation or ("none", "column"),
            members=sorted(set(members or (1,))),
            calibration=None if calibration is None else read(calibration),
            strange={name: read(path) for name, path in zip(names, strange or [], strict=True)},
            temperature=temperature, rtl=rtl, progress=work,
        )  # fmt: skip
        options = {
            "age": age, "compensation": compensation, "members": members, "strange": strange,
            "calibration": calibration, "temperature": temperature, "samples": samples,
        }  # fmt: skip
        document = device_section(artefact, stimulus, found, options)
        artefact.add_to_report(device_evaluation=document)
        write_report(artefact)
    terminal.result(document)
    head = ["age", "compensation", "members", "accuracy", "NLL", "ECE",
            *(f"AUROC {name}" for name in names), *(["RTL differs"] if rtl else [])]  # fmt: skip
    rows = [
        [duration(c.age), c.compensation, c.members, f"{c.accuracy:.2%}", f"{c.nll:.4f}",
         f"{c.ece:.4f}", *(f"{c.auroc[name]['entropy']:.4f}" for name in names),
         *([c.mismatches] if rtl else [])]
        for c in found
    ]  # fmt: skip
    terminal.show(show(f"{len(found)} conditions", head, rows, "ll" + "r" * (len(head) - 2)))
    if any(c.mismatches for c in found):
        terminal.fail(f"{directory}: RTL and golden model differ", 1)


def register(parent: typer.Typer) -> None:
    """Adds the commands."""
    parent.add_typer(app, name="device")

"""A Verilated model in this process: ports as attributes, ticks, internals, waves, batch runs."""

import ctypes
import functools
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from ctypes import c_uint32
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from numpy.typing import ArrayLike

from sim.harness.verilate import BuildFailed, BuildOptions, build_model
from sim.harness.verilated_abi import AssertionFailed, SimulationError, cell, load
from sim.harness.verilated_internals import Internals
from sim.harness.verilated_ports import Clock, Io, Port, close_io, make_io
from sim.harness.verilated_stream import SimulationStalled, StopOn, StreamRun, run_stream

__all__ = [
    "AssertionFailed",
    "BuildFailed",
    "Clock",
    "Internals",
    "Io",
    "Port",
    "SimulationError",
    "SimulationStalled",
    "StopOn",
    "StreamRun",
    "Verilated",
    "VerilatedModel",
]


# Amaranth prints an assertion's message; Verilator adds "[time] %Error: file:line: ..." behind it.
_ASSERTION = re.compile(r"(.*)\[\d+\] %Error: (\S+): Assertion failed in (?:TOP\.)?([^:\n]*)")


@dataclass(frozen=True)
class Verilated:
    """A compiled design: makes any number of independent ``VerilatedModel``.

    Members
    -------
    folder : Path
        Its place in the cache.
    top : str
        Name of the top module.
    options : BuildOptions
        How it was built.
    """

    folder: Path
    top: str
    options: BuildOptions

    @classmethod
    def build(
        cls,
        sources: Sequence[Path | str],
        top: str,
        *,
        trace: bool = False,
        internals: bool = False,
        optimise: bool = True,
        data_files: Sequence[Path | str] | Mapping[str, Path | str] = (),
        progress: Callable[[str], None] | None = None,
    ) -> "Verilated":
        """Compile Verilog to a shared library, or take it from the cache.

        Parameters
        ----------
        sources : sequence of Path
            Verilog files.
        top : str
            Top module.
        trace, internals, optimise : bool
            See ``BuildOptions``.
        data_files : sequence of Path, or mapping of name to Path
            Files that ``$readmemh`` opens. The name is the one in the Verilog; a sequence takes
            each file's own name. Their contents are part of the cache key.
        progress : callable, optional
            Gets one line of text for each stage.

        Raises ToolMissing or BuildFailed.
        """
        options = BuildOptions(trace=trace, internals=internals, optimise=optimise)
        if not isinstance(data_files, Mapping):
            data_files = {Path(path).name: path for path in data_files}
        folder = build_model(
            [Path(path) for path in sources],
            top,
            options,
            {name: Path(path) for name, path in data_files.items()},
            progress or (lambda text: None),
        )
        return cls(folder, top, options)

    def new(self, *, clock: str = "clk", reset: str = "rst") -> "VerilatedModel":
        """A fresh instance in its initial state; ``clock`` and ``reset`` name the ports."""
        return VerilatedModel(self, clock=clock, reset=reset)


class VerilatedModel:
    """One running instance of a Verilated design, with PyVerilator's verbs.

    The drop-in successor of PyVerilator: ``sim.io.a = 3``, ``sim.clock.tick()``, ``sim.io.q``,
    ``sim.internals``, ``sim.start_trace(path)``. PyVerilator 0.7.0 (2021) itself can not serve:
    its import needs the broken ``tclwrapper``, and its build calls ``flushCall``, which
    Verilator 5 removed, under a C++ standard that Verilator 5 no longer accepts.

    Over it come ``stream`` (whole arrays through a stream-shaped design, in C++), several
    instances in a process, a build cache, ports of any width, and failed assertions as Python
    exceptions. After one of those an instance can still be read, but no longer run.

    Members
    -------
    io : Io
        The ports as attributes, or by name: ``sim.io["o__payload"]``.
    clock : Clock
        ``clock.tick(n)``.
    internals : Internals
        Signals and memories inside the design by dotted path; needs ``internals=True``.
    ports : dict of str to Port
        The ports by name.
    """

    def __init__(self, built: Verilated, *, clock: str = "clk", reset: str = "rst") -> None:
        self.built = built
        self._library = load(built.folder / "model.so")
        self._handle = self._library.open_model(bytes(built.folder / "data"))
        self._finalizer = weakref.finalize(self, self._library.nv_close, self._handle)
        self._dirty = False
        if self._library.nv_error(self._handle):
            raise self._fail()
        count = c_uint32()
        rows = self._library.nv_ports(self._handle, ctypes.byref(count))[: count.value]
        names = [row.name.decode() for row in rows]
        self._numbers = {name: number for number, name in enumerate(names)}
        found = dict(zip(names, rows, strict=True))
        self.ports = {n: Port(n, row.bits, bool(row.is_input)) for n, row in found.items()}
        self.io: Io = make_io(self, {n: cell(row.data, row.bytes) for n, row in found.items()})
        self.clock = Clock(self, clock)
        self._reset = reset

    @property
    def cycles(self) -> int:
        """Rising clock edges since the instance was made."""
        return self._library.nv_cycles(self._open())

    @property
    def output(self) -> str:
        """Text that the design printed (``$display``) since the last ``clear_output()``."""
        return self._library.nv_output(self._open()).decode(errors="replace")

    def clear_output(self) -> None:
        """Forget the printed text; only the last half MiB or more is kept."""
        self._library.nv_clear_output(self._open())

    @functools.cached_property
    def internals(self) -> Internals:
        """Signals and memories inside the design."""
        if not self.built.options.internals:
            raise SimulationError(f"{self.built.top}: to see internals, build with internals=True")
        return Internals(self, self.built.top)

    def eval(self) -> None:
        """Settle the combinational logic; reading a port does so by itself when needed."""
        self._check(self._library.nv_eval(self._open()))
        self._dirty = False

    def reset(self, cycles: int = 4) -> None:
        """Hold the reset port high for some cycles."""
        self.io[self._reset] = 1
        self.clock.tick(cycles)
        self.io[self._reset] = 0

    def start_trace(self, path: Path | str) -> None:
        """Write a waveform (VCD) from now on; needs ``trace=True`` at the build."""
        if not self.built.options.trace:
            raise SimulationError(f"{self.built.top}: to write {path}, build with trace=True")
        self.stop_trace()
        self._check(self._library.nv_start_trace(self._open(), bytes(Path(path))))

    def stop_trace(self) -> None:
        """Close the waveform, if one is being written."""
        self._check(self._library.nv_stop_trace(self._open()))

    def stream(
        self,
        words_in: ArrayLike,
        *,
        until: StopOn | int | None = None,
        i: str | None = "i",
        o: str | None = "o",
        stall_in: float = 0.0,
        stall_out: float = 0.0,
        seed: int = 1,
        idle_cycles: int = 1000,
        deadline: int | None = 1_000_000,
        max_cycles: int = 1_000_000_000,
        progress: Callable[[int, int, int], None] | None = None,
    ) -> StreamRun:
        """Feed words to the stream ``i`` and collect those of the stream ``o``, all in C++.

        Ports are named as Amaranth names those of a ``stream.Signature``: ``i__payload``,
        ``i__valid``, ``i__ready``. A word stays offered until the design takes it; when the run
        ends both handshakes go low.

        Parameters
        ----------
        words_in : integers [words] or uint64 [words, limbs]
            Payloads, as integers of any size or as little-endian limbs.
        until : StopOn, int or None
            Stop after such output words; an int counts any word; None: when all input is taken
            and nothing came for ``idle_cycles``.
        i, o : str or None
            Prefix of the ports of each stream; None for a design without it.
        stall_in, stall_out : float
            Probability, each cycle, that a new word is withheld, and that ready is low.
        seed : int
            Seed of the stalls.
        deadline : int or None
            Cycles without any transfer after which the run counts as stalled.
        max_cycles : int
            The run counts as stalled after so many cycles.
        progress : callable, optional
            Gets (cycles, consumed, produced) about every 260,000 cycles.

        Raises SimulationStalled, or AssertionFailed when the design stops itself.
        """
        self.clock.require()
        ports = {n: (number, self.ports[n].width) for n, number in self._numbers.items()}
        self._dirty = True
        return run_stream(
            self, ports, words_in, until=until, i=i, o=o, stall_in=stall_in, stall_out=stall_out,
            seed=seed, idle_cycles=idle_cycles, deadline=deadline, max_cycles=max_cycles,
            progress=progress,
        )  # fmt: skip

    def close(self) -> None:
        """Run the final blocks and free the model; the instance can not be used afterwards."""
        if self._finalizer.alive:
            close_io(self.io, self.clock)
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _settle(self) -> None:
        if self._dirty:
            self.eval()

    def _open(self) -> int:
        """The handle of a model that is not closed."""
        if not self._finalizer.alive:
            raise SimulationError(f"{self.built.top}: simulation closed; make another with new()")
        return self._handle

    def _check(self, status: int) -> None:
        if status:
            raise self._fail()

    def _fail(self) -> SimulationError:
        """The exception for the last call that failed, with what the design printed about it."""
        self._dirty = False
        text = self._library.nv_error(self._open()).decode(errors="replace")
        where = f"{self.built.top}: cycle {self.cycles}: "
        found = _ASSERTION.findall(self.output) if text.startswith("stopped at") else []
        if found:
            message, place, scope = found[-1]
            return AssertionFailed(f"{where}{message or 'assertion failed'} ({place} in {scope})")
        return SimulationError(where + text)

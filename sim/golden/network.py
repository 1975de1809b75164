"""The golden model of a Program: every emission and every state word, in exact integers.

It computes the equations of `hdl/params/neuron.py`, event by event over compressed rows, with
int64 sums that are checked beforehand to be wide enough for any stimulus; input sums of stochastic
populations and attention heads by those of `hdl/params/sc/dense.py` and `attention.py` there, of
crossbars by those of `hdl/params/crossbar/dendrites.py`, of states and gates by those of
`hdl/params/ssm`. Who wins in a group is told by `hdl/params/winners.py`.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.neuron import FIELDS, sends_changes
from hdl.params.sc.dense import Streams
from hdl.params.ssm.diagonal import Diagonal
from mapping.program import Population, Program
from sim.golden.network_checks import check_fields
from sim.golden.network_crossbar import crossbar_plan
from sim.golden.network_memory import Inner, Start, check_restorable, empty_inner, places, restore
from sim.golden.network_result import GoldenResult, State
from sim.golden.network_rows import build_rows
from sim.golden.network_states import build_recurrences

if TYPE_CHECKING:
    from sim.golden.crossbar.product import Plan

__all__ = ["Golden", "GoldenResult", "State"]


def _whole(p: Population, lengths: np.ndarray) -> np.ndarray:
    """Bits of streams of samples in which none terminates early."""
    assert isinstance(p.dendrites, Streams)
    return lengths * p.size << p.dendrites.log2_length


class Golden:
    """A Program made ready to run; `run` may be called often, each sample starts from zero.

    Emissions of value 0 are no events. An emission of any kind that feeds a projection is
    delivered with its value (a STATE emission with the membrane).
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        formats = program.formats
        sizes = [p.size for p in program.populations]
        self._bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._slices = {
            p.name: slice(int(a), int(b))
            for p, a, b in zip(
                program.populations, self._bounds[:-1], self._bounds[1:], strict=True
            )
        }
        self._fields = np.zeros((len(FIELDS), self._bounds[-1]), np.int64)
        for p in program.populations:
            for row, name in zip(self._fields, FIELDS, strict=True):
                row[self._slices[p.name]] = p.fields[name]
        places = [np.arange(self._bounds[-1])[self._slices[name]] for name in program.outputs]
        self._output_neurons = np.concatenate([*places, np.zeros(0, np.int64)]).astype(np.int64)
        self._widths = (
            formats.membrane_bits,
            formats.current_bits,
            formats.decay_bits,
            formats.payload_bits,
        )
        # The range of an event's value, by input.
        self._low = np.concatenate(
            [np.full(i.size, -1 << max(formats.payload_bits - 1, 0) if i.graded else 0)
             for i in program.inputs] + [np.zeros(0, np.int64)]
        ).astype(np.int64)  # fmt: skip
        self._high = np.where(self._low < 0, -self._low - 1, 1)
        check_fields(program)
        self._rows = build_rows(program)
        self._recurrences = build_recurrences(program)
        self._changes = bool(sends_changes(self._fields[FIELDS.index("emit")]).any())
        made = [p.arrays["table"] for p in program.populations if "table" in p.arrays]
        table_of = np.cumsum(["table" in p.arrays for p in program.populations]) - 1
        tables = np.stack(made) if made else np.zeros((1, 1), np.int64)
        self._values = tables.astype(np.int64), np.maximum(table_of, 0), formats.table_bits

    @cached_property
    def _plan(self) -> "Plan":
        return crossbar_plan(self.program)

    def _pack(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Events that are not 0, in order: first event of each step, source, value."""
        samples, steps, width = events.shape
        flat = events.reshape(-1)
        place = np.flatnonzero(flat)
        step = place // max(width, 1)  # much faster than divmod
        source = place - step * width
        value = flat[place].astype(np.int64)
        wrong = (value < self._low[source]) | (value > self._high[source])
        if wrong.any():
            k = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"event of input {source[k]} in step {step[k] % steps} must be in "
                f"{self._low[source[k]]}..{self._high[source[k]]}, not {value[k]}"
            )
        count = np.bincount(step, minlength=samples * steps)
        return np.concatenate([[0], np.cumsum(count)]).astype(np.int64), source, value

    def _inner(self, shape: tuple[int, ...]) -> Inner:
        neurons = int(self._bounds[-1]) if self._changes else 0
        return empty_inner(shape, self._recurrences.seeds, self._rows.sizes[2], neurons)

    def _places(self, inner: Inner) -> dict[str, dict[str, np.ndarray]]:
        return {
            p.name: places(p, kind, self._slices[p.name], inner)
            for p, kind in zip(self.program.populations, self._rows.kinds, strict=True)
        }

    def _remembered(self, inner: Inner) -> dict[str, dict[str, np.ndarray]]:
        return {
            name: {key: view.astype(np.int64) for key, view in views.items()}
            for name, views in self._places(inner).items()
        }

    def _restore(
        self, start: Start, membrane: np.ndarray, current: np.ndarray, inner: Inner
    ) -> None:
        check_restorable(self.program)
        if unknown := set(start) - set(self._slices):
            raise UserError(f"a state to start from names {min(unknown)}, which there isn't")
        views = self._places(inner)
        for p in self.program.populations:
            s = self._slices[p.name]
            own = {"membrane": membrane[:, s], "current": current[:, s], **views[p.name]}
            restore(p, self.program.formats, start, own)

    def run(
        self,
        events: np.ndarray,
        lengths: np.ndarray | None = None,
        *,
        record_state: bool = False,
        threads: int = 1,
        start: Start | None = None,
    ) -> GoldenResult:
        """Run samples of events [samples, steps, inputs]: 0 or 1, or payloads if graded.

        Parameters
        ----------
        lengths : steps that each sample runs; None is all of them.
        record_state : keep membrane and current, and all that is remembered, of every step.
        threads : samples run at once; the bits don't depend on it.
        start : what each sample starts from, as `snapshot` gave it; None: a clear. UserError if it
            doesn't fit, or the Program has projections of delay 1, attention heads or crossbars.
        """
        from sim.golden.network_kernel import run_samples

        events = np.asarray(events)
        if events.ndim != 3 or events.shape[2] != self.program.input_size:
            raise ValueError(
                f"events must be [samples, steps, {self.program.input_size}], not {events.shape}"
            )
        if events.dtype.kind not in "biu":
            raise TypeError(f"events must be integers, not {events.dtype}")
        samples, steps, inputs = events.shape
        run = np.full(samples, steps) if lengths is None else np.array(lengths)
        run = run.astype(np.int64)
        if run.shape != (samples,) or (samples and not 0 <= run.min() <= run.max() <= steps):
            raise ValueError(f"lengths must be {samples} numbers in 0..{steps}")
        packed = self._pack(events)
        neurons, populations = int(self._bounds[-1]), len(self.program.populations)
        outputs = np.zeros((samples, steps, len(self._output_neurons)), np.int64)
        membrane, current = np.zeros((2, samples, neurons), np.int64)
        shape = (samples, steps, neurons) if record_state else (0, 0, 0)
        membrane_trace, current_trace = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        inner, trace = self._inner((samples,)), self._inner(shape[:2])
        trace.draws[:] = 0
        if start is not None:
            self._restore(start, membrane, current, inner)
        counts = np.zeros((samples, populations, 6), np.int64)
        operations = np.zeros(samples, np.int64)
        taken = np.zeros((samples, populations), np.int64)

        plan = self._plan

        def part(first: int, end: int) -> None:
            run_samples(
                first, end, run, inputs, *packed, *self._rows, plan, self._recurrences,
                self._fields, self._bounds, *self._widths, self._values, self._output_neurons,
                outputs, membrane, current, inner, membrane_trace, current_trace, trace, counts,
                operations, taken,
            )  # fmt: skip

        cuts = np.linspace(0, samples, max(min(threads, samples), 1) + 1).astype(int).tolist()
        if len(cuts) == 2:
            part(0, samples)
        else:
            with ThreadPoolExecutor(len(cuts) - 1) as pool:
                list(pool.map(part, cuts[:-1], cuts[1:]))
        ends = np.arange(samples) * steps
        slices = self._slices.items()
        crossbars = [
            (k, p, p.dendrites)
            for k, p in enumerate(self.program.populations)
            if isinstance(p.dendrites, Crossbar)
        ]
        return GoldenResult(
            outputs=outputs,
            final={name: State(membrane[:, s], current[:, s]) for name, s in slices},
            state={name: State(membrane_trace[..., s], current_trace[..., s]) for name, s in slices}
            if record_state
            else None,
            inner=self._remembered(inner),
            inner_state=self._remembered(trace) if record_state else None,
            events={name: counts[:, k, 0] for k, name in enumerate(self._slices)},
            input_events=packed[0][ends + run] - packed[0][ends],
            synaptic_operations=operations,
            neuron_updates=run * neurons,
            saturations={
                name: State(counts[:, k, 1], counts[:, k, 2]) for k, name in enumerate(self._slices)
            },
            state_saturations={
                p.name: counts[:, k, 5]
                for k, p in enumerate(self.program.populations)
                if isinstance(p.dendrites, Diagonal)
            },
            stream_bits={
                p.name: taken[:, k] if self._rows.kinds[k, 0] else _whole(p, run)
                for k, p in enumerate(self.program.populations)
                if isinstance(p.dendrites, Streams)
            },
            cell_reads={p.name: counts[:, k, 3] * c.columns for k, p, c in crossbars},
            conversions={p.name: counts[:, k, 4] for k, p, _ in crossbars},
        )

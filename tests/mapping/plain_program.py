"""Programs of values in numpy, from the equations of hdl/params/neuron.py and hdl/params/ssm.

For inputs, linear layers, leaky integrators, state-space layers and gates without recurrence;
nothing of it comes from the compiler or the golden model.
"""

from __future__ import annotations

import numpy as np

from hdl.params.neuron import Emit
from hdl.params.sc.lfsr import seed_of
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from mapping.program import Population, Program

TAPS32 = (32, 30, 26, 25)


def sat(x: np.ndarray, bits: int) -> np.ndarray:
    return np.clip(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def advance(state: int) -> int:
    """An LFSR of 32 bits, 32 steps on."""
    for _ in range(32):
        bit = 0
        for tap in TAPS32:
            bit ^= state >> (tap - 1) & 1
        state = (state << 1 | bit) & 0xFFFFFFFF
    return state


class States:
    """A population of diagonal states over [samples]."""

    def __init__(self, p: Population, samples: int) -> None:
        d = p.dendrites
        assert isinstance(d, Diagonal)
        self.d, self.a = d, p.arrays
        n = d.states(p.size)
        self.re = np.zeros((samples, n), np.int64)
        self.im = np.zeros((samples, n), np.int64)
        self.draws = [seed_of(d.seed, k, 32) for k in range(n)]

    def step(self, u: np.ndarray) -> np.ndarray:
        d, top = self.d, 1 << self.d.pole_bits
        ar, ai = (self.a["pole"][:, i] if i < d.parts else 0 for i in (0, 1))
        assert (ar**2 + ai**2 < top * top).all()
        half = half2 = top >> 1
        if d.stochastic:
            w = np.array(self.draws)
            half, half2 = ((w & 0xFFFF) << d.pole_bits) >> 16, ((w >> 16) << d.pole_bits) >> 16
            self.draws = [advance(s) for s in self.draws]
        if d.mixed:
            p, q = np.repeat(u, d.order, axis=1), 0
        else:
            p, q = (u, 0) if d.real else (u[:, 0::2], u[:, 1::2])
        e = d.drive_shift + self.a["gain"]
        re, im = self.re, self.im
        self.re = sat((ar * re - ai * im + (p << e) + half) >> d.pole_bits, d.state_bits)
        if not d.real:
            self.im = sat((ar * im + ai * re + (q << e) + half2) >> d.pole_bits, d.state_bits)
        if not d.mixed:
            return self.re if d.real else np.stack([self.re, self.im], -1).reshape(len(u), -1)
        total = self.a["mix"][:, 0] * self.re
        if not d.real:
            total = total - self.a["mix"][:, 1] * self.im
        total = total.reshape(len(u), -1, d.order).sum(2)
        return (total + (1 << d.mix_shift >> 1)) >> d.mix_shift


class Plain:
    """What a run gave, by population: membranes and values [samples, steps, size].

    values: what targets take (changes added up); events: how many were sent.
    """

    def __init__(self, program: Program, data: np.ndarray) -> None:
        f = program.formats
        samples, steps, _ = data.shape
        self.values: dict[str, np.ndarray] = {}
        self.membranes = {p.name: np.zeros((samples, steps, p.size), np.int64)
                          for p in program.populations}  # fmt: skip
        self.events = {p.name: 0 for p in program.populations}
        self.emitted = {k: v.copy() for k, v in self.membranes.items()}
        at = 0
        for i in program.inputs:
            x = data[:, :, at : at + i.size]
            at += i.size
            x = sat(np.floor(x / i.scale + 0.5), f.payload_bits) if i.graded else x
            self.emitted[i.name] = np.asarray(x, np.int64)
        for p in program.populations:
            self._run(program, p)

    def _run(self, program: Program, p: Population) -> None:
        f, fields = program.formats, p.fields
        into = [q for q in program.projections if q.target == p.name]
        samples, steps, _ = self.membranes[p.name].shape
        ports: dict[str, np.ndarray] = {}
        for q in into:
            assert not q.delay
            weights = np.zeros((len(q.indptr) - 1, p.size), np.int64)
            for row in range(len(weights)):
                part = slice(q.indptr[row], q.indptr[row + 1])
                weights[row, q.indices[part]] = q.weights[part] << q.exponent
            x = self.emitted[q.source]
            ports[q.port] = ports.get(q.port, 0) + x @ weights
        d = p.dendrites
        if isinstance(d, Diagonal | Gate):
            for x in ports.values():
                x[...] = np.cumsum(x, 1) if d.held else x
                assert (sat(x, d.value_bits) == x).all()
        states = States(p, samples) if isinstance(d, Diagonal) else None
        one = np.int64(1)
        shape = (samples, p.size)
        membrane, current, sent = (np.zeros(shape, np.int64) for _ in range(3))
        for t in range(steps):
            if states:
                acc = states.step(ports[""][:, t])
                assert (sat(acc, d.acc_bits) == acc).all()
            elif isinstance(d, Gate):
                acc = (ports["left"][:, t] * ports["right"][:, t] + (1 << d.shift >> 1)) >> d.shift
            else:
                acc = ports[""][:, t] if ports else np.zeros(shape, np.int64)
            x = acc << fields["shift"]
            if f.current_bits:
                whole = self._scale(current, fields["current_decay"], f.decay_bits) + x
                if (fields["current_decay"] == one << f.decay_bits).all():
                    assert (sat(whole, f.current_bits) == whole).all(), "sums of changes saturate"
                x = current = sat(whole, f.current_bits)
            kept = self._scale(membrane, fields["membrane_decay"], f.decay_bits)
            membrane = sat(kept + x + fields["bias"], f.membrane_bits)
            self.membranes[p.name][:, t] = membrane
            value = self._value(program, p, membrane)
            if fields["emit"][0] >> 4:
                change = value - sent
                change = np.where(np.abs(change) > fields["threshold"], change, 0)
                assert (sat(change, f.payload_bits) == change).all()
                sent = sent + change
                value = change
            self.emitted[p.name][:, t] = value
        self.events[p.name] = int(np.count_nonzero(self.emitted[p.name]))
        changes = bool(fields["emit"][0] >> 4)
        self.values[p.name] = np.cumsum(self.emitted[p.name], 1) if changes else (
            self.emitted[p.name])  # fmt: skip

    @staticmethod
    def _scale(x: np.ndarray, decay: np.ndarray, bits: int) -> np.ndarray:
        return (x * decay + (1 << (bits - 1))) >> bits

    @staticmethod
    def _value(program: Program, p: Population, membrane: np.ndarray) -> np.ndarray:
        f, emit = program.formats, Emit(int(p.fields["emit"][0]))
        if emit == Emit.STATE:
            return membrane
        shift = p.fields["value_shift"]
        q = (membrane + (np.left_shift(1, shift) >> 1)) >> shift
        bits = f.payload_bits - (emit >> 4)
        if emit & 15 == Emit.VALUE:
            return sat(q, bits)
        if emit & 15 == Emit.RELU:
            return np.clip(q, 0, (1 << (bits - 1)) - 1)
        found = p.arrays["table"][sat(q, f.table_bits) + (1 << (f.table_bits - 1))]
        assert (sat(found, bits) == found).all()
        return found

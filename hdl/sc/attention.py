"""Stochastic spiking attention: one head, serial over pairs of tokens."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.params.neuron import bits_for
from hdl.params.sc.attention import AttentionParams
from hdl.sc.overlap import OverlapEncoder, delayed

__all__ = ["Attention", "bit_layout"]


def bit_layout(p: AttentionParams) -> data.StructLayout:
    """A place in the matrices, and in which of them: the layout of AttentionParams.item."""
    return data.StructLayout(
        {"column": p.column_bits, "token": p.token_bits, "query": 1, "key": 1, "value": 1}
    )


class BitMatrix:
    """Rows of bits in distributed memory. In a cycle a bit can be set, or a row forgotten.

    `row` is the row at `address`, in the same cycle. A bit is set by `set` and `column` in one
    cycle, and its row as `address` in the next. `forget` makes the row at `forget_address`, if that
    is given, or `address` all 0 at the end of the cycle.
    """

    def __init__(self, m, name: str, rows: int, width: int, forget_address=None):
        groups = -(-width // 4)  # 4 bits share a write enable, as in the cells of the memory
        memory = Memory(shape=groups * 4, depth=rows, init=[], attrs={"ram_style": "distributed"})
        m.submodules[name] = memory
        read, write = memory.read_port(domain="comb"), memory.write_port(granularity=4)
        self.address = Signal(bits_for(rows), name=f"{name}_address")
        self.column = Signal(bits_for(width), name=f"{name}_column")
        self.set, self.forget = Signal(name=f"{name}_set"), Signal(name=f"{name}_forget")
        self.row = Signal(width, name=f"{name}_row")
        low, high = self.column[:2], self.column[2:]
        place = Signal(4, name=f"{name}_place")  # of the bit in its group
        group = Signal(groups, name=f"{name}_group")
        setting = Signal(name=f"{name}_setting")
        m.d.sync += [
            place.eq(Cat(low == k for k in range(4))),
            group.eq(Cat(high == k for k in range(groups))),
            setting.eq(self.set),
        ]
        bits = [(read.data[k] | place[k % 4]) & ~self.forget for k in range(width)]
        m.d.comb += [
            self.row.eq(read.data),
            read.addr.eq(self.address),
            write.addr.eq(self.address),
            write.data.eq(Cat(bits)),
            write.en.eq((group & setting.replicate(groups)) | self.forget.replicate(groups)),
        ]
        if forget_address is not None:
            with m.If(self.forget):
                m.d.comb += write.addr.eq(forget_address)


class Attention(wiring.Component):
    """Spikes of Q, K and V in, bit by bit; spikes of A out, one a cycle, row by row.

    Equations: hdl/params/sc/attention.py. One pipeline compares row i of Q with the rows of K, a
    score a cycle; meanwhile the other compares row i - 1 of S with the columns of V, an answer a
    cycle. A row takes as many cycles as it has scores or, from the second row on, `dim` if that is
    more. With `start` in cycle 0, A[i, d] shows in cycle ``params.answer_cycle(i, d)``. A pass
    forgets all spikes.

    Parameters
    ----------
    params : the head.

    Members
    -------
    bit, set : a bit to set, in one or more matrices; not while `busy`.
    start : begin a pass; not while `busy`, and not in the cycle of the last `set`.
    clear : with `start`: nobody wants the answers; afterwards the generators begin again.
    busy : level, a pass is going on, from the cycle after `start` to that of the last answer.
    answer, valid : A[i, d], for each i for each d.
    """

    def __init__(self, params: AttentionParams):
        p = self.params = params
        self._scores, self._answers = self._pipelines()
        super().__init__(
            {
                "bit": In(bit_layout(p)),
                "set": In(1),
                "start": In(1),
                "clear": In(1),
                "busy": Out(1),
                "answer": Out(1),
                "valid": Out(1),
            }
        )

    def _pipelines(self):
        """What makes S of rows of Q and K, and A of S and columns of V."""
        p = self.params
        scores = OverlapEncoder(p.dim, p.dim, p.score_gain, p.generator(0))
        answers = OverlapEncoder(p.tokens, p.tokens, p.value_gain, p.generator(1), counted=p.causal)
        assert (scores.latency, answers.latency) == p.latencies
        return scores, answers

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.scores = scores = self._scores
        m.submodules.answers = answers = self._answers
        row = Signal(p.token_bits)  # of Q and S
        row_before = Signal(p.token_bits)
        count = Signal(bits_for(max(p.tokens, p.dim)))  # cycles that it has taken: row of K
        column = Signal(p.column_bits)  # of V and A
        query = BitMatrix(m, "query", p.tokens, p.dim, forget_address=row_before)
        key = BitMatrix(m, "key", p.tokens, p.dim)
        value = BitMatrix(m, "value", p.dim, p.tokens)  # column by column
        m.d.sync += row_before.eq(row)
        m.d.comb += [
            query.address.eq(row),
            query.column.eq(self.bit.column),
            query.set.eq(self.set & self.bit.query),
            key.address.eq(count),
            key.column.eq(self.bit.column),
            key.set.eq(self.set & self.bit.key),
            value.address.eq(column),
            value.column.eq(self.bit.token),
            value.set.eq(self.set & self.bit.value),
        ]

        # Scores, row by row.
        clearing = Signal()
        begins = Signal()  # the first cycle of a row, or that after the last row
        first_cycle = Signal()
        scoring = Signal()  # there are scores left in this row
        waited = Signal()  # the row has taken long enough for the answers of the row before
        last_row = Signal()
        row_done = Signal()  # the last cycle was a row's last: it is forgotten
        last_score = count == (row if p.causal else p.tokens - 1)
        enough = waited | (count == p.dim - 1)
        finished = Signal()  # the last answer shows
        m.d.comb += query.forget.eq(row_done)
        m.d.sync += row_done.eq(0)
        with m.FSM():
            with m.State("Take"):
                m.d.sync += [
                    row.eq(self.bit.token),
                    count.eq(self.bit.token),
                    column.eq(self.bit.column),
                ]
                with m.If(self.start):
                    m.d.sync += [
                        row.eq(0),
                        last_row.eq(p.tokens == 1),
                        count.eq(0),
                        clearing.eq(self.clear),
                        first_cycle.eq(1),
                        scoring.eq(1),
                        waited.eq(1),
                    ]
                    m.next = "Score"
            with m.State("Score"):
                m.d.comb += [
                    self.busy.eq(1),
                    begins.eq(first_cycle),
                    scores.i_valid.eq(scoring),
                    key.forget.eq(last_row),
                ]
                m.d.sync += [
                    count.eq(count + 1),
                    first_cycle.eq(0),
                    scoring.eq(scoring & ~last_score),
                    waited.eq(enough),
                ]
                with m.If((~scoring | last_score) & enough):
                    m.d.sync += [
                        row_done.eq(1),
                        row.eq(row + 1),
                        last_row.eq(row == p.tokens - 2),
                        count.eq(0),
                        first_cycle.eq(1),
                        scoring.eq(1),
                        waited.eq(0),
                    ]
                    with m.If(last_row):
                        m.next = "Hand-Over"
            with m.State("Hand-Over"):
                m.d.comb += [self.busy.eq(1), begins.eq(1)]
                m.next = "Finish"
            with m.State("Finish"):
                m.d.comb += self.busy.eq(1)
                with m.If(finished):
                    m.d.comb += [scores.restart.eq(clearing), answers.restart.eq(clearing)]
                    m.next = "Take"

        # S: a row grows while the row before is compared with V.
        begun = delayed(m, begins, scores.latency, "begun")[-1]  # with the row's first score
        growing = Signal(p.tokens * len(scores.hit))
        grown = Signal.like(growing, reset_less=True)
        with m.If(scores.o_valid):
            if p.causal:  # rows differ in length: a mark goes along with the scores
                mark = Signal(p.tokens, reset_less=True)
                here = Mux(begun, 1, mark)[: p.tokens]
                m.d.sync += [
                    mark.eq(here << 1),
                    growing.eq(
                        (growing & ~begun.replicate(p.tokens))
                        | (here & scores.hit.replicate(p.tokens))
                    ),
                ]
            else:
                m.d.sync += growing.eq(Cat(growing, scores.hit)[len(scores.hit) :])
        with m.If(begun):
            m.d.sync += grown.eq(growing)

        # Answers.
        pending = Signal()  # a row of S is growing
        answering, last = Signal(), Signal()
        last_column = column == p.dim - 1
        with m.If(answering):
            m.d.sync += [
                column.eq(column + 1),
                answering.eq(~last_column),
                last.eq(last & ~last_column),
            ]
        with m.If(begun):
            m.d.sync += pending.eq(scores.o_valid)
            with m.If(pending):
                m.d.sync += [answering.eq(1), column.eq(0), last.eq(~scores.o_valid)]
        ending = last & last_column
        m.d.comb += [
            scores.a.eq(query.row),
            scores.b.eq(key.row),
            answers.a.eq(grown),
            answers.b.eq(value.row),
            answers.i_valid.eq(answering),
            answers.following.eq(begun & pending),
            value.forget.eq(last),
            finished.eq(delayed(m, ending, answers.latency, "ending")[-1]),
            self.answer.eq(answers.hit),
            self.valid.eq(answers.o_valid),
        ]
        return m

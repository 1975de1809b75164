"""Build the Graph of a spiking transformer whose tensors passed all checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mapping.graph import Connection, Graph, InputLayer, Layer, Options
from mapping.importers.transformer_checks import LAST, MEAN, RESETS, Draft

__all__ = ["Builder"]


class Builder:
    """Layers and connections in the order of evaluation."""

    def __init__(self, name: str, draft: Draft) -> None:
        self.name, self.draft, self.tensors = name, draft, draft.tensors
        self.levels: dict[str, int] = {"input": 0}
        self.layers: list[Layer] = []
        self.connections: list[Connection] = []
        self.nodes: list[dict[str, Any]] = []
        self.edges: list[tuple[str, str]] = []
        self.notes: list[dict[str, str]] = []

    def connect(self, source: str, target: str, matrix: Any, node: str, port: str = "") -> None:
        from scipy.sparse import csr_array

        matrix = csr_array(matrix, dtype=np.float64)
        matrix.eliminate_zeros()
        self.connections.append(
            Connection(source=source, target=target, matrix=matrix, node=node, port=port)
        )
        if node:
            self.edges += [(source, node), (node, target)]
        else:
            self.edges.append((source, target))

    def record(self, name: str, kind: str, shape: tuple[int, ...], folded: bool = False) -> None:
        status, reason = ("folded", "into the connections") if folded else ("mapped", "")
        self.nodes.append(
            {"name": name, "kind": kind, "shape": list(shape), "status": status, "reason": reason}
        )

    def neurons(
        self, name: str, kind: str, shape: tuple[int, ...], sources: list[str], **fields: Any
    ) -> None:
        """A layer of [rows, features] neurons one level behind its sources."""
        size = int(np.prod(shape))
        zero = np.zeros(size)
        values: dict[str, Any] = {
            "membrane_decay": zero, "current_decay": zero, "bias": zero, "threshold": zero,
            "reset": "set", "reset_value": zero, "spiking": True, "has_current": False, **fields,
        }  # fmt: skip
        level = self.levels[name] = 1 + max(self.levels[source] for source in sources)
        self.layers.append(
            Layer(name=name, kind=kind, size=size, shape=shape, level=level, **values)
        )
        self.record(name, kind, shape)

    def dense(
        self,
        name: str,
        source: str,
        select: np.ndarray,
        *,
        bias: np.ndarray | None = None,
        past: tuple[str, np.ndarray] | None = None,
    ) -> str:
        """Linear and LIF for the tokens that `select` [tokens out, tokens in] picks; its name.

        past : a layer that reaches it by the residual path, and the tokens picked from that.
        """
        from scipy.sparse import eye_array, kron

        weight = self.tensors[f"{name}.weight"].astype(np.float64)
        shape = (len(select), len(weight))
        given = self.tensors.get(f"{name}.bias", np.zeros(len(weight))).astype(np.float64)
        whole = np.broadcast_to(given, shape) + (0.0 if bias is None else bias)
        lif, linear = f"{name}.lif", f"{name}.linear"
        reset = RESETS[self.draft.config["reset"]]
        threshold = np.full(whole.size, float(self.draft.threshold))
        sources = [source] + ([past[0]] if past else [])
        self.record(linear, "Linear", shape, folded=True)
        self.neurons(
            lif,
            "LIF",
            shape,
            sources,
            membrane_decay=self.beta(name, len(select)),
            bias=whole.reshape(-1),
            threshold=threshold,
            reset="set" if reset == "zero" else reset,
            reset_value=0 * threshold if reset == "zero" else threshold,
        )
        self.connect(source, lif, kron(select, weight, format="csr"), linear)
        if past and self.tensors[f"{name}.residual"].any():
            factor = float(self.tensors[f"{name}.residual"].reshape(-1)[0])
            same = kron(past[1], factor * eye_array(len(weight)), format="csr")
            self.record(f"{name}.residual", "Scale", shape, folded=True)
            self.connect(past[0], lif, same, f"{name}.residual")
        return lif

    def beta(self, name: str, rows: int) -> np.ndarray:
        features = len(self.tensors[f"{name}.weight"])
        beta = np.broadcast_to(self.tensors[f"{name}.beta"].reshape(-1), (features,))
        return np.tile(beta.astype(np.float64), rows)

    def block(self, number: int, source: str, select: np.ndarray) -> str:
        """Attention and feed-forward; the block's results for the tokens that `select` picks."""
        from scipy.sparse import eye_array

        at, head = f"blocks.{number}", self.draft.heads[number]
        every = np.eye(head.tokens)
        ports = {
            port: self.dense(f"{at}.{port}", source, every) for port in ("query", "key", "value")
        }
        attention = f"{at}.attention"
        self.neurons(
            attention, "Attention", (head.tokens, head.dim), list(ports.values()), dendrites=head
        )
        for port, layer in ports.items():
            self.connect(layer, attention, eye_array(head.size, format="csr"), "", port)
        past = self.dense(f"{at}.out", attention, select, past=(source, select))
        up = self.dense(f"{at}.up", past, np.eye(len(select)))
        same = np.eye(len(select))
        return self.dense(f"{at}.down", up, same, past=(past, same))

    def readout(self, source: str, rows: int) -> None:
        weight = self.tensors["readout.weight"].astype(np.float64)
        if self.draft.config["readout"] == MEAN:
            weight = np.kron(np.full((1, rows), 1 / rows), weight)
        self.record("readout.linear", "Linear", (len(weight),), folded=True)
        bias = self.tensors.get("readout.bias", np.zeros(len(weight))).astype(np.float64)
        decay = self.beta("readout", 1)
        self.neurons(
            "readout",
            "LI",
            (len(weight),),
            [source],
            spiking=False,
            membrane_decay=decay,
            bias=bias,
        )
        self.connect(source, "readout", weight, "readout.linear")

    def graph(self) -> Graph:
        draft, tokens = self.draft, self.draft.config["tokens"]
        self.record("input", "Input", (tokens, draft.pixels))
        position = self.tensors["embed.position"].astype(np.float64)
        last = self.dense("embed", "input", np.eye(tokens), bias=position)
        for number in range(draft.blocks):
            select = np.eye(tokens)
            if number == draft.blocks - 1 and draft.config["readout"] == LAST:
                select = select[-1:]
                change = "only the last token is read: behind the attention no other is computed"
                self.notes.append(
                    {"node": f"blocks.{number}", "change": change, "effect": "no output changes"}
                )
            last = self.block(number, last, select)
        self.readout(last, len(select))
        steps = f"trained with {draft.config['steps']} steps a sample"
        self.notes.append({"node": "", "change": steps, "effect": "give samples as many"})
        reset = RESETS[draft.config["reset"]]
        return Graph(
            name=self.name,
            inputs=(
                InputLayer(name="input", size=tokens * draft.pixels, shape=(tokens, draft.pixels)),
            ),
            layers=tuple(self.layers),
            connections=tuple(self.connections),
            outputs=("readout",),
            options=Options(reset=reset),
            nodes=tuple(self.nodes),
            edges=tuple(self.edges),
            notes=tuple(self.notes),
        )

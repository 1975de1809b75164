"""From a plan to the parts of a Program: inputs, populations, projections."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from hdl.params.errors import UserError
from hdl.params.neuron import Reset
from hdl.params.sc.attention import AttentionParams
from mapping.formats import bits_needed, decay_integers, nearest, threshold_integers
from mapping.graph import Graph, Layer
from mapping.plan import Plan, incoming_of
from mapping.program import Formats, Input, Population, Projection
from mapping.scales import Flat, exact_scale
from mapping.settings import Quantisation

__all__ = ["input_populations", "population_of", "projections_of"]

RESETS = {"set": Reset.SET, "subtract": Reset.SUBTRACT, "delayed": Reset.DELAYED}


def input_populations(
    graph: Graph, data: np.ndarray, graded: bool, bits: int, assumed: bool
) -> tuple[Input, ...]:
    """Input populations; a graded scale is the data's own grid if it has one that fits."""
    top, at, found = (1 << (bits - 1)) - 1, 0, []
    for source in graph.inputs:
        values = np.unique(data[:, :, at : at + source.size])
        at += source.size
        scale = 1.0
        if graded:
            values = values[values != 0]
            n = len(values)
            flat = Flat(values, np.zeros(n, int), 1, np.full(n, -top - 1.0), np.full(n, float(top)))
            most = float(np.abs(values).max(initial=0.0)) if not assumed else 1.0
            grid = None if assumed or n < 2 else exact_scale(flat)
            scale = grid or (most or 1.0) / top
        found.append(Input(name=source.name, size=source.size, graded=graded, scale=scale))
    return tuple(found)


def population_of(plan: Plan, formats: Formats, settings: Quantisation) -> Population:
    """A layer's integers; a UserError if a parameter does not fit the membrane."""
    layer, unit = plan.layer, np.broadcast_to(plan.unit, plan.layer.size)
    top = (1 << (formats.membrane_bits - 1)) - 1
    zero = np.zeros(layer.size, np.int64)
    real = {"bias": nearest(layer.bias / unit), "threshold": zero, "reset_value": zero}
    if layer.spiking:
        real["threshold"] = threshold_integers(layer.threshold, unit, layer.compare)
        real["reset_value"] = nearest(layer.reset_value / unit)
    fields = {}
    for name, value in real.items():
        finite = value[np.isfinite(value)]
        if len(finite) and (finite.max() > top or finite.min() < -top - 1):
            bits = bits_needed(finite.min(), finite.max())
            raise UserError(
                f"{layer.name}: its {name} needs {bits} membrane bits, there are "
                f"{formats.membrane_bits}; raise membrane_bits (at most 32) or lower "
                "fraction_bits or weight_bits"
            )
        fields[name] = np.clip(value, -top - 1, top).astype(np.int64)
    bits, kind = settings.decay_bits, settings.decay
    fields["membrane_decay"] = decay_integers(layer.membrane_decay, bits, kind, layer.name)
    fields["current_decay"] = zero
    if layer.has_current:
        fields["current_decay"] = decay_integers(layer.current_decay, bits, kind, layer.name)
    if plan.adds_changes:
        fields["current_decay"] = zero + (1 << bits)
    if plan.threshold:
        fields["threshold"] = zero + plan.threshold
    fields["shift"] = zero + plan.shift
    fields["value_shift"] = zero + plan.value_shift
    fields["reset"] = zero + (int(RESETS[layer.reset]) if layer.spiking else 0)
    fields["emit"] = zero + int(plan.emit)
    return Population(
        name=layer.name,
        kind=layer.kind,
        size=layer.size,
        level=layer.level,
        fields=fields,
        membrane_scale=np.array(unit, float),
        payload_scale=float(np.max(plan.payload)),
        node=layer.name,
        dendrites=plan.inner.dendrites if plan.inner else _head(layer),
        arrays={
            **(plan.inner.arrays if plan.inner else {}),
            **({} if plan.table is None else {"table": plan.table}),
        },
        winners=layer.winners,
        apart=layer.apart,
    )


def _head(layer: Layer) -> AttentionParams | None:
    return layer.dendrites if isinstance(layer.dendrites, AttentionParams) else None


def projections_of(plans: dict[str, Plan], graph: Graph) -> list[Projection]:
    result = []
    for plan in plans.values():
        for c, w in zip(incoming_of(graph, plan.layer.name), plan.weights, strict=True):
            rows = sparse.csr_array(w.matrix.T)
            rows.sort_indices()
            if rows.nnz:
                result.append(
                    Projection(
                        source=c.source,
                        target=c.target,
                        indptr=rows.indptr.astype(np.int64),
                        indices=rows.indices.astype(np.int64),
                        weights=rows.data.astype(np.int64),
                        weight_bits=w.bits,
                        exponent=w.exponent,
                        delay=c.delay,
                        node=c.node,
                        port=c.port,
                    )
                )
    return result

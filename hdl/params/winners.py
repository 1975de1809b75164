"""Winners: a population in which only the strongest of each group send.

Neurons g*E .. g*E + E - 1 are group g, E = `group`. With the membrane as it stands after the update
(hdl/params/neuron.py), neuron i of a group wins if fewer than k = `count` others precede it::

    j precedes i     if membrane[j] > membrane[i], or membrane[j] == membrane[i] and j < i
    A[i] = 1         if fewer than k of its group precede i, else 0

A neuron with A = 0 sends nothing; one with A = 1 sends what it would anyway: a value of the
membrane, or a spike if it is above its threshold. Nothing else changes, states least of all. So
the router of a mixture of experts is a layer of one group whose membranes are its scores, exact
integer sums of weights and bias, and what its k winners send are the gates.

Sources: top-k gating of Shazeer et al., arXiv 1701.06538, k = 1 of Fedus et al., arXiv 2101.03961.

Neurons with winners send no changes, and if they spike keep their membrane: their reset is not SET,
their reset_value 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import check_integer

__all__ = ["MOST_GROUP", "Winners"]

MOST_GROUP = 256


@dataclass(frozen=True, kw_only=True)
class Winners:
    """The equation's parameters.

    Parameters
    ----------
    count : winners of a group, 1..group.
    group : neurons that compete, 1..256.
    """

    count: int = 1
    group: int = 1

    def __post_init__(self) -> None:
        check_integer("group", self.group, 1, MOST_GROUP)
        check_integer("count", self.count, 1, self.group)

    @property
    def all(self) -> bool:
        """Whether every neuron wins."""
        return self.count == self.group

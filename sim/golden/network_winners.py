"""Who wins in a group: the equation of hdl/params/winners.py, neuron against neuron."""

from sim.golden.network_jit import inside

__all__ = ["silence"]


@inside
def silence(first, end, kind, membrane, emitted):  # type: ignore[no-untyped-def]
    """Take back what those of neurons `first`..`end`-1 emitted who don't win; how many did emit.

    kind : the population's row of `sim/golden/network_dendrites.py`.
    """
    count, group, lost = kind[8], kind[9], 0
    for n in range(first, end):
        begin, before = n - (n - first) % group, 0
        for other in range(begin, begin + group):
            before += membrane[other] > membrane[n] or (
                membrane[other] == membrane[n] and other < n
            )
        if before >= count:
            lost += emitted[n] != 0
            emitted[n] = 0
    return lost

"""The library of stochastic-computing units: list, emit, study, cost."""

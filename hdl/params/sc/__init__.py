"""Parameters of the stochastic-computing units."""

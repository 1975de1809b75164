"""Golden twins of the stochastic-computing units, on bit-streams packed 64 bits to a word."""

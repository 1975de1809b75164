"""Stochastic computing: numbers as probabilities of bits, arithmetic as single gates."""

"""Simulation: golden models, Verilated models, stimulus and testbenches."""

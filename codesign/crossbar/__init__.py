"""Layers on memristive devices: settings, programming at compile time, ageing, evaluation."""

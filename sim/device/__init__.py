"""Memristive devices in real numbers, and the tables that make integers of them."""

"""Amaranth components and the fabric."""

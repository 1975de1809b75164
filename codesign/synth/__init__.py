"""Synthesis, place and route, and bitstreams: Yosys, nextpnr and ecppack behind plain calls."""

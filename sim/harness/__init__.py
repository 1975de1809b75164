"""What simulators run: the C++ side of Verilated models and cocotb testbenches."""

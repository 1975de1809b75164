"""One pair of files for each board: `<board>.toml` (part, capacities, pins) and `<board>.lpf`."""

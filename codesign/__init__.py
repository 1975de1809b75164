"""The command line, synthesis, cost and energy models, exploration, calibration and reports."""

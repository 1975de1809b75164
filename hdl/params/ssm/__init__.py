"""Parameters of state-space layers."""

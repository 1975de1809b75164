"""Parameters of every unit, word layouts, fixed-point formats; standard library only."""

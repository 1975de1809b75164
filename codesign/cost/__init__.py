"""What a design will cost before it is built: area, clock, cycles, energy; and how far off that is."""

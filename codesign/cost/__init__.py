"""What a design will cost before it is built: area, clock, cycles, energy; how far off that is."""

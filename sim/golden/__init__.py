"""Golden models, written from the equations; never import hdl units."""

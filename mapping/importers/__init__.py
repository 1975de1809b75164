"""Front ends: model files to a Graph."""

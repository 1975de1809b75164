"""From a model file to a mapped Program."""

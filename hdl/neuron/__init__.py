"""The neuron core: dendrites, update, emission."""

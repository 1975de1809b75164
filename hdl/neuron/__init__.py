"""The event-driven neuron core."""

"""Search over designs of one model: Pareto fronts of accuracy, area, latency and energy."""

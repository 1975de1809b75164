"""Times a tile of aihwkit; run by bench_crossbar.py with a Python that has it.

    python aihwkit_tile.py weights.npy repeats

Prints a JSON object: seconds of processor time, and deviations of products by read noise.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
import torch
from aihwkit.inference import PCMLikeNoiseModel
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs import InferenceRPUConfig
from aihwkit.simulator.parameters.enums import WeightNoiseType

BATCH = 64


def best(work, repeats: int) -> float:
    """The least processor time of several runs."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times[1:] or times)


def tile(weights: torch.Tensor, noise: WeightNoiseType = WeightNoiseType.NONE) -> AnalogLinear:
    """A programmed layer on one tile; the configuration's converters."""
    config = InferenceRPUConfig()
    config.noise_model = PCMLikeNoiseModel(g_max=25.0)
    config.drift_compensation = None
    config.mapping.max_input_size = config.mapping.max_output_size = max(weights.shape)
    config.forward.w_noise_type = noise
    config.forward.w_noise, config.forward.out_noise = 0.0175, 0.0
    layer = AnalogLinear(weights.shape[1], weights.shape[0], bias=False, rpu_config=config)
    layer.set_weights(weights)
    layer.eval()
    layer.program_analog_weights()
    return layer


@torch.no_grad()
def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    weights, repeats = torch.from_numpy(np.load(sys.argv[1])).float(), int(sys.argv[2])
    x = torch.ones(1, weights.shape[1])
    layer = tile(weights)

    def fresh() -> torch.Tensor:
        layer.drift_analog_weights(0.0)  # at t_0: no drift, new read noise of every device
        return layer(x)

    found = {"aihwkit": version("aihwkit"), "torch": torch.__version__}
    found["fresh"] = best(fresh, repeats)
    model, g = PCMLikeNoiseModel(g_max=25.0), weights.abs() * 25
    found["draws"] = best(
        lambda: [model.apply_drift_noise_to_conductance(g, g, 0.0) for _ in range(2)], repeats
    )
    several = torch.cat([fresh() for _ in range(20)])
    found["deviation"] = float(several.std(0).mean() / several.mean(0).square().mean().sqrt())
    batch = torch.ones(BATCH, weights.shape[1])
    found["none"] = best(lambda: layer(batch), repeats) / BATCH
    output = tile(weights, WeightNoiseType.PCM_READ)
    found["output"] = best(lambda: output(batch), repeats) / BATCH
    print(json.dumps(found))


if __name__ == "__main__":
    main()

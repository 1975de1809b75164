"""Record what the code that state-space models are trained with answers, for the importers' tests.

    python tests/vectors/make_ssm_oracles.py --s4 S4D_DIR --lru LRU_DIR --lmu LMU_DIR

needs the extra `ssm-oracles` (torch, s5-pytorch), einops, and checkouts of state-spaces/s4
(S4D_DIR: the folder of s4d.py), forgi86/sysid-pytorch-lru and hrshtv/pytorch-lmu; cases whose code
isn't given are left as they are. Writes beside itself, for each case, `ssm_<case>.pt` (the
state_dict, as torch saves it) and `ssm_<case>.npz` with `inputs` [samples, steps, channels] and
`outputs`, in float32 as torch computes. Parameters are those of the code's own initialisation plus
normal noise, so that gains and biases of norms matter, and steps exp(LONGER) times as long, so that
the discretisation does. Deterministic: torch's seed is SEED.
"""

from __future__ import annotations

import argparse
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

SEED, SAMPLES, STEPS = 0, 3, 24
LONGER = 2.0
HERE = Path(__file__).parent


class S5Net(nn.Module):
    """Encoder, blocks of s5-pytorch, mean over the steps, decoder."""

    def __init__(self, inputs: int, size: int, states: int, outputs: int, **more: Any) -> None:
        from s5 import S5Block

        super().__init__()
        self.encoder = nn.Linear(inputs, size)
        self.blocks = nn.ModuleList(S5Block(size, states, False, **more) for _ in range(2))
        self.decoder = nn.Linear(size, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.encoder(x)
        for block in self.blocks:
            x = block(x)
        return self.decoder(x.mean(1))


class S4Net(nn.Module):
    """The model of state-spaces/s4, example.py, around its S4D; names as there."""

    def __init__(self, inputs: int, size: int, states: int, outputs: int, prenorm: bool) -> None:
        from s4d import S4D

        super().__init__()
        self.prenorm = prenorm
        self.encoder = nn.Linear(inputs, size)
        self.s4_layers = nn.ModuleList(S4D(size, d_state=states) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.decoder = nn.Linear(size, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.encoder(x)
        for layer, norm in zip(self.s4_layers, self.norms, strict=True):
            z = norm(x) if self.prenorm else x
            x = x + layer(z.transpose(1, 2))[0].transpose(1, 2)
            x = x if self.prenorm else norm(x)
        return self.decoder(x.mean(1))


class LMUNet(nn.Module):
    """A layer of pytorch-lmu and a classifier of its last state."""

    def __init__(self, inputs: int, hidden: int, memory: int, outputs: int) -> None:
        from src.lmu import LMU

        super().__init__()
        self.lmu = LMU(inputs, hidden, memory, theta=2 * memory)
        self.classifier = nn.Linear(hidden, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.lmu(x)[0][:, -1])


def lru(ff: str) -> nn.Module:
    """The network of sysid-pytorch-lru, evaluated step by step; its answer at every step."""
    from lru.architectures import DWN, DWNConfig

    model = DWN(2, 3, DWNConfig(d_model=5, d_state=6, n_layers=2, rmin=0.4, rmax=0.95, ff=ff))
    whole = model.forward
    model.forward = lambda x: whole(x, mode="loop")
    return model


def s5_layer() -> nn.Module:
    from s5 import S5

    return S5(3, 4)


CASES = {
    "s5_blocks": ("s5", lambda: S5Net(3, 6, 8, 4)),
    "s5_plain": ("s5", lambda: S5Net(3, 5, 4, 2, glu=False, ff_mult=2.0)),
    "s5_layer": ("s5", s5_layer),
    "s4d_post": ("s4", lambda: S4Net(2, 5, 6, 4, prenorm=False)),
    "s4d_pre": ("s4", lambda: S4Net(2, 5, 6, 4, prenorm=True)),
    "lru_glu": ("lru", lambda: lru("GLU")),
    "lru_mlp": ("lru", lambda: lru("MLP")),
    "lmu": ("lmu", lambda: LMUNet(2, 5, 4, 3)),
}


def main() -> None:
    """Write the vectors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("s4", "lru", "lmu"):
        parser.add_argument(f"--{name}")
    given = vars(parser.parse_args())
    sys.path[:0] = [path for path in given.values() if path]
    # s4d.py takes its dropout from the rest of its repository; there is none at a rate of 0.
    if given["s4"]:
        sys.modules["src.models.nn"] = types.SimpleNamespace(DropoutNd=None)  # type: ignore
    for name, (source, make) in CASES.items():
        if source != "s5" and not given[source]:
            print(f"{name}: left, no --{source}")
            continue
        torch.manual_seed(SEED)
        model = make().eval()
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                parameter += 0.1 * torch.randn_like(parameter)
                parameter += LONGER * key.endswith(("log_dt", "log_step"))
            inputs = torch.randn(SAMPLES, STEPS, channels(model))
            outputs = model(inputs)
        torch.save(model.state_dict(), HERE / f"ssm_{name}.pt")
        arrays = {"inputs": inputs.numpy(), "outputs": outputs.numpy()}
        np.savez_compressed(HERE / f"ssm_{name}.npz", **arrays)
        print(f"{name}: outputs {list(outputs.shape)}, largest {outputs.abs().max():.3f}")


def channels(model: Any) -> int:
    """Values that a model takes in a step."""
    if hasattr(model, "encoder"):
        return model.encoder.in_features
    return model.lmu.cell.e_x.shape[1] if hasattr(model, "lmu") else model.width


if __name__ == "__main__":
    main()

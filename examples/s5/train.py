"""Train the s5 example: the block of the s5-pytorch package tells nine speakers apart.

The file is what torch.save(model.state_dict()) wrote; nothing of the model was made for Nervure.

Run from the repository root: python examples/s5/train.py [--quick]
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from s5 import S5Block
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from speakers import main  # noqa: E402


class Speakers(nn.Module):
    """Encoder, one S5Block of 24 channels and 16 complex states, mean over the frames, decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(12, 24)
        self.blocks = nn.ModuleList([S5Block(24, 16, bidir=False)])
        self.decoder = nn.Linear(24, 9)

    @torch.no_grad()
    def bound(self) -> None:
        """Poles back to where states decay; s5-pytorch lets them grow."""
        for block in self.blocks:
            block.s5.seq.Lambda.real.clamp_(max=-0.2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The answer [series, 9] for x [series, frames, 12]."""
        h = self.encoder(x)
        for block in self.blocks:
            h = block(h)
        real = torch.arange(x.shape[1]) < lengths[:, None]
        return self.decoder((h * real[..., None]).sum(1) / lengths[:, None])


if __name__ == "__main__":
    main(Speakers, HERE)

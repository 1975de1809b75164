"""Train the vowels_s4d example: complex state-space neurons tell nine speakers apart.

Run from the repository root: python examples/vowels_s4d/train.py [--quick]
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from s4d import S4DNet  # noqa: E402
from speakers import main  # noqa: E402

if __name__ == "__main__":
    main(lambda: S4DNet(12, 32, 4, layers=1, outputs=9, span=(0.05, 1.0), drop=0.1), HERE)

"""How long `make soak` was asked to run, and how its tests share that."""

from __future__ import annotations

import os


def soak_seconds(share: float) -> float:
    """Seconds for a test: the random meshes get all of them, the others a small ``share``.

    So a run takes a little over `SECONDS`, and what the request tables need besides (some 20 minutes).
    """
    return float(os.environ.get("MESHCTL_SOAK_SECONDS", "60")) * share

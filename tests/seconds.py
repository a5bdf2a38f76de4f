"""How long `make soak` was asked to run, and how its tests share that."""

from __future__ import annotations

import os


def soak_seconds(share: float) -> float:
    """Seconds for a test: the random meshes get all of them, the others a small ``share``.

    The others run beside them, so a run takes a little over `SECONDS` where that is half an hour or more.
    """
    return float(os.environ.get("MESHCTL_SOAK_SECONDS", "60")) * share

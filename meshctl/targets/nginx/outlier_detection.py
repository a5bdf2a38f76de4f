"""Endpoints that are left alone for a while because they fail. Counted in ``peers.lua``, over all workers.

NGINX's own ``max_fails`` counts within a time instead of in a row, in whole seconds, and never ejects the last one.
"""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model_policies import Ejection


def ejection(detection: ir.OutlierDetection | None) -> Ejection | None:
    """``interval`` means nothing here: an endpoint comes back when its time is over."""
    if detection is None:
        return None
    return Ejection(
        errors=detection.consecutive_errors,
        seconds=quoting.lua_seconds(detection.ejection_time),
        share=detection.max_ejected.numerator,
        of=detection.max_ejected.denominator,
    )

"""`fault`: failures on purpose."""

from __future__ import annotations

from meshctl.spec.http_types import ResponseStatus
from meshctl.spec.types import Given, Model, Percent, PositiveDuration


class DelaySpec(Model):
    """A pause before the request goes on; for all requests where no share is written."""

    duration: PositiveDuration
    percent: Given[Percent] = None


class AbortSpec(Model):
    """An answer instead of the callee's; for all requests where no share is written."""

    status: ResponseStatus
    percent: Given[Percent] = None


class FaultSpec(Model):
    """Delays come first. Both act in the caller's sidecar, once a request."""

    delay: Given[DelaySpec] = None
    abort: Given[AbortSpec] = None

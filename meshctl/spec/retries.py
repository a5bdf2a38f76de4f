"""`retries`: a field of every traffic policy and of a route."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.types import Attempts, Given, Model

RetryOn = Literal["connect-failure", "refused-stream", "gateway-error"]


class RetriesSpec(Model):
    """As written. Maps of several layers merge field by field; `retryOn` replaces as a whole."""

    attempts: Given[Attempts] = None
    retry_on: Given[list[RetryOn]] = None

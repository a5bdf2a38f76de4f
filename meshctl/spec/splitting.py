"""`backends`: how a route shares out its requests."""

from __future__ import annotations

from meshctl.spec.types import Given, Model, Name, Weight


class BackendSpec(Model):
    """A subset of this service, or another service; weights are shares of their sum, 1 if left out."""

    subset: Given[Name] = None
    service: Given[Name] = None
    weight: Given[Weight] = None

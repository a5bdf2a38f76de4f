"""`endpoints`: where the instances of a service are."""

from __future__ import annotations

from meshctl.spec.types import Given, IpAddress, Model, Name, Port, Weight


class EndpointSpec(Model):
    """One instance. `port` is that of its sidecar, where it is not the mesh's inbound port."""

    address: IpAddress
    zone: Given[Name] = None
    subset: Given[Name] = None
    weight: Given[Weight] = None
    port: Given[Port] = None

"""A mesh moved onto one machine: each endpoint at a loopback address of its own."""

from __future__ import annotations

from meshctl.spec import Spec
from meshctl.spec.discovery import EndpointSpec
from meshctl.spec.service import ServiceSpec

FIRST_NETWORK = 80
APPLICATION_PORT = 8080
_PER_NETWORK = 250


def loopback(spec: Spec) -> Spec:
    """The same mesh with endpoint *j* of service *i* at ``127.(80+i/250).(1+i%250).(1+j)``.

    All listeners and the application of an instance are on that address, at the default ports, and
    nothing else of the mesh changes. A service without endpoints gets one, so that it can call.
    """
    services = spec.written.services or {}
    moved = {
        name: _moved(service, FIRST_NETWORK + index // _PER_NETWORK, index % _PER_NETWORK + 1)
        for index, (name, service) in enumerate(sorted(services.items()))
    }
    mesh = spec.written.mesh.model_copy(
        update={"bind": "endpoint", "inbound": None, "outbound": None, "admin": None}
    )
    return Spec(spec.written.model_copy(update={"mesh": mesh, "services": moved or None}), spec.source)


def _moved(service: ServiceSpec, network: int, subnet: int) -> ServiceSpec:
    endpoints = [
        each.model_copy(update={"address": f"127.{network}.{subnet}.{number}", "port": None})
        for number, each in enumerate(service.endpoints or (EndpointSpec(address="0.0.0.0"),), start=1)  # noqa: S104
    ]
    return service.model_copy(
        update={
            "endpoints": endpoints,
            "port": APPLICATION_PORT if service.port else None,
            "bind": None,
            "inbound": None,
            "outbound": None,
            "admin": None,
            "app_address": None,
        }
    )

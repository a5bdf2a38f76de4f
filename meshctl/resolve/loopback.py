"""A mesh moved onto one machine: each endpoint at a loopback address of its own, externals too."""

from __future__ import annotations

from msgspec.structs import replace

from meshctl.spec import Spec
from meshctl.spec.discovery import EndpointSpec
from meshctl.spec.externals import ExternalEndpointSpec, ExternalSpec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.service import ServiceSpec

FIRST_NETWORK = 80
APPLICATION_PORT = 8080
_PER_NETWORK = 250
_HERE = {"bind": None, "inbound": None, "outbound": None, "admin": None}


def loopback(spec: Spec) -> Spec:
    """The same mesh with endpoint *j* of service *i* at ``127.(80+i/250).(1+i%250).(1+j)``.

    All listeners and the application of an instance are on that address, at the default ports; local ports
    and those of gateways stay. After the services come the gateways, and then the externals: those have one
    endpoint each, without TLS, for an echo application to be there. Nothing else of the mesh changes. A service or
    gateway without endpoints gets one, also one whose endpoints are looked up.
    """
    written = spec.written
    names = [
        *sorted(written.services or {}),
        *sorted(written.gateways or {}),
        *sorted(written.externals or {}),
    ]
    networks = {name: _network(index) for index, name in enumerate(names)}
    services = {name: _service(each, networks[name]) for name, each in (written.services or {}).items()}
    gateways = {name: _gateway(each, networks[name]) for name, each in (written.gateways or {}).items()}
    externals = {name: _external(each, networks[name]) for name, each in (written.externals or {}).items()}
    health = written.mesh.health.model_copy(update={"address": None}) if written.mesh.health else None
    mesh = written.mesh.model_copy(update={**_HERE, "bind": "endpoint", "health": health})
    moved = {
        "mesh": mesh,
        "services": services or None,
        "gateways": gateways or None,
        "externals": externals or None,
    }
    return replace(spec, written=written.model_copy(update=moved))


def _network(index: int) -> str:
    return f"127.{FIRST_NETWORK + index // _PER_NETWORK}.{index % _PER_NETWORK + 1}"


def _endpoints(written: list[EndpointSpec] | None, network: str) -> list[EndpointSpec]:
    return [
        each.model_copy(update={"address": f"{network}.{number}", "port": None})
        for number, each in enumerate(written or (EndpointSpec(address="0.0.0.0"),), start=1)  # noqa: S104
    ]


def _service(service: ServiceSpec, network: str) -> ServiceSpec:
    return service.model_copy(
        update={
            **_HERE,
            "endpoints": _endpoints(service.endpoints, network),
            "discovery": None,
            "port": APPLICATION_PORT if service.port else None,
            "ports": service.ports and dict.fromkeys(service.ports, APPLICATION_PORT),
            "health": service.health and service.health.model_copy(update={"address": None}),
            "app_address": None,
        }
    )


def _gateway(gateway: GatewaySpec, network: str) -> GatewaySpec:
    return gateway.model_copy(
        update={
            "bind": None,
            "admin": None,
            "health": gateway.health and gateway.health.model_copy(update={"address": None}),
            "endpoints": _endpoints(gateway.endpoints, network),
        }
    )


def _external(external: ExternalSpec, network: str) -> ExternalSpec:
    endpoint = ExternalEndpointSpec(address=f"{network}.1").model_copy(update={"port": APPLICATION_PORT})
    return external.model_copy(update={"endpoints": [endpoint], "port": APPLICATION_PORT, "tls": None})

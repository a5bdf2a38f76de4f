"""Kubernetes: one NetworkPolicy for each service, whose pods hold application and sidecar together.

https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from itertools import groupby

from meshctl.artifacts import Artifact
from meshctl.diagnostics import UsageError
from meshctl.ir.segmentation import NAME_SERVER, Destination, Perimeter, Workload
from meshctl.segmentation.naming import Naming
from meshctl.segmentation.notes import notes

_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""Every namespace has it, by the API server's own doing."""

_CLUSTER_DNS: object = {
    "namespaceSelector": {"matchLabels": {_NAMESPACE_LABEL: "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
"""CoreDNS and kube-dns, as kubeadm and its like install them."""


def emit(perimeters: Iterable[Perimeter], naming: Naming, *, intercept: bool) -> Iterator[Artifact]:
    """Raises UsageError with ``intercept``, which no NetworkPolicy can do."""
    if intercept:
        raise UsageError("a NetworkPolicy cannot intercept connections; --intercept is for --format nftables")
    label = naming.label_key()
    for service, its in groupby(perimeters, key=lambda each: each.service):
        lines = _document(list(its), label)
        text = "".join(f"{line}\n" for line in lines)
        yield Artifact(f"kubernetes/{service}/networkpolicy.yaml", text.encode())


def _document(perimeters: list[Perimeter], label: str) -> Iterator[str]:
    """One policy for all instances of a service."""
    first = perimeters[0]
    yield "---"
    yield f"# {first.service} of the mesh {first.mesh}. Made by meshctl; changes are lost when it is made again."
    yield "# A pod holds application and sidecar: what one may reach, the other may reach too."
    for note in dict.fromkeys(note for each in perimeters for note in notes(each, pods=True)):
        yield f"# Open: {note}."
    metadata = {
        "name": f"meshctl-{first.service}",
        **({"namespace": first.namespace} if first.namespace else {}),
        "labels": {"app.kubernetes.io/managed-by": "meshctl", "app.kubernetes.io/part-of": first.mesh},
    }
    yield from ("apiVersion: networking.k8s.io/v1", "kind: NetworkPolicy")
    yield f"metadata: {_flow(metadata)}"
    yield "spec:"
    yield f"  podSelector: {_flow(_pods(label, first.service))}"
    yield "  policyTypes: [Ingress, Egress]"
    yield from _rules("ingress", "from", _ingress(perimeters, label))
    yield from _rules("egress", "to", _egress(perimeters, label))


_Rule = tuple[str, list[object] | None, list[object]]
"""Whom it is about, peers (None: everybody), ports (empty: all)."""


def _rules(key: str, side: str, rules: Iterable[_Rule]) -> Iterator[str]:
    listed = list(rules)
    yield f"  {key}:" if listed else f"  {key}: []"
    for name, peers, ports in listed:
        # A rule without peers is about everybody.
        parts = {side: peers, "ports": ports}
        written = [f"{part}: {_flow(value)}" for part, value in parts.items() if value]
        yield f"    # {name}"
        yield f"    - {written[0] if written else '{}'}"
        yield from (f"      {each}" for each in written[1:])


def _ingress(perimeters: list[Perimeter], label: str) -> Iterator[_Rule]:
    inbound = sorted({each.port for its in perimeters for each in its.inbound})
    facing = sorted({each.port for its in perimeters for each in its.facing})
    callers = [each for its in perimeters for each in its.callers or ()]
    if inbound and any(each.callers is None for each in perimeters):
        yield "callers, with or without a certificate", None, [_port(each) for each in inbound]
    elif inbound and callers:
        peers = [peer for each in dict.fromkeys(callers) for peer in _workload(each, label)]
        names = ", ".join(dict.fromkeys(each.service for each in callers))
        yield names, peers, [_port(each) for each in inbound]
    if facing:
        yield "clients outside the mesh", None, [_port(each) for each in facing]


def _egress(perimeters: list[Perimeter], label: str) -> Iterator[_Rule]:
    wanted = dict.fromkeys(
        each for its in perimeters for each in (*its.destinations, *its.besides) if _leaves(each)
    )
    for each in wanted:
        yield each.name, _peers(each, label), [_port(each.port, each.transport)] if each.port else []


def _peers(place: Destination, label: str) -> list[object]:
    addresses = _addresses(place.networks)
    if place.name == NAME_SERVER:
        # Policies are held to what is behind a service's address, which no address in the spec can say.
        return [_CLUSTER_DNS, *addresses]
    if place.workload is None:
        return addresses
    return [*_pod_peer(place.workload, label), *([] if place.workload.pods else addresses)]


def _leaves(place: Destination) -> bool:
    """Whether it is outside of the pod."""
    return not all(ip_network(each).is_loopback for each in place.networks)


def _workload(peer: Workload, label: str) -> list[object]:
    return [*_pod_peer(peer, label), *_addresses(peer.networks)]


def _pod_peer(peer: Workload, label: str) -> list[object]:
    namespace = (
        {"namespaceSelector": {"matchLabels": {_NAMESPACE_LABEL: peer.namespace}}} if peer.namespace else {}
    )
    return [{**namespace, "podSelector": _pods(label, peer.service)}]


def _pods(label: str, service: str) -> dict[str, object]:
    return {"matchLabels": {label: service}}


def _addresses(places: Iterable[str]) -> list[object]:
    return [{"ipBlock": {"cidr": each}} for each in places if not ip_network(each).is_loopback]


def _port(number: int, transport: str = "tcp") -> dict[str, object]:
    return {"protocol": transport.upper(), "port": number}


def _flow(value: object) -> str:
    """JSON, which is YAML too, and in which no text can be read as something else."""
    return json.dumps(value)

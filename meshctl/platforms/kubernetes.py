"""Kubernetes: for each service a component of kustomize that puts the sidecar into its pods; a gateway is a Deployment.

https://kubectl.docs.kubernetes.io/guides/config_management/components/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from meshctl.artifacts import Artifact, Document
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.platforms import containers, images
from meshctl.platforms.base import (
    MADE,
    Options,
    Workload,
    binds,
    facing,
    is_everywhere,
    is_loopback,
    needs_low_ports,
    stop_seconds,
)
from meshctl.platforms.containers import CONFIGURATION
from meshctl.platforms.naming import label_key, workload_kind

LARGEST = 1024 * 1024
"""Of all that a ConfigMap holds, in bytes."""

_FOLDER = "kubernetes"
_LOW_PORTS = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}
_GATEWAY_PAUSE = 10
"""Seconds between a gateway's leaving its Service and its stop, so that the news can get around."""


def check(workloads: Iterable[Workload]) -> Iterator[Finding]:
    """Pods of a service are alike, and get their addresses when they start."""
    for _, its in groupby(workloads, key=lambda each: each.sidecar.service):
        bundles = list(its)
        first = bundles[0]
        if len(bundles) > 1:
            yield finding(
                "not-on-platform",
                first.deployment.at,
                f"{first.sidecar.service} has {len(bundles)} bundles, but all its pods get the same one",
                fix="Let pods be looked up (`discovery: {kubernetes: {service: …}}`), and give zones or ports that differ "
                "services of their own.",
            )
            continue
        yield from _check_addresses(first)
        size = sum(len(each.content) for each in first.files)
        if size > LARGEST:
            yield finding(
                "not-on-platform",
                first.deployment.at,
                f"the configuration of {first.sidecar.service} has {size:,} bytes, and a ConfigMap holds {LARGEST:,}",
                fix="List fewer calls, or externals and routes that nobody needs.",
            )


def _check_addresses(workload: Workload) -> Iterator[Finding]:
    deployment, sidecar = workload.deployment, workload.sidecar
    local = [each for each in facing(sidecar) if is_loopback(each.address)]
    fixed = [
        each for each in binds(sidecar) if not (is_everywhere(each.address) or is_loopback(each.address))
    ]
    if local or fixed:
        where, why = (local[0], "which no other pod reaches") if local else (fixed[0], "which no pod has")
        yield finding(
            "not-on-platform",
            deployment.at,
            f"the {workload.kind} of {sidecar.service} would listen on {where}, {why}",
            fix="Leave out `bind: endpoint` and addresses of listeners, and let pods be looked up "
            "(`discovery: {kubernetes: {service: …}}`).",
        )
    elif deployment.hosts and not sidecar.is_gateway:
        yield finding(
            "address-on-platform",
            deployment.at,
            f"callers ask for {sidecar.service} at {deployment.hosts[0]}, and pods get their addresses when they start",
            fix="Let pods be looked up (`discovery: {kubernetes: {service: …}}`), unless these are addresses of "
            "Services, or of hosts outside the cluster.",
        )


def emit(workloads: Iterable[Workload], options: Options) -> Iterator[Artifact | Document]:
    """Raises UsageError for what is no label, no kind of workload or no image."""
    listed = list(workloads)
    for each in listed:
        folder = f"{_FOLDER}/{each.sidecar.service}"
        yield from _owned(each, folder, options)
        yield Document(f"{folder}/kustomization.yaml", _comments(each), _component(each, options))
        yield from (Artifact(f"{folder}/files/{file.path}", file.content) for file in each.files)
    mesh = listed[0].sidecar.mesh
    services = [each.sidecar.service for each in listed]
    note = f"All sidecars of the mesh {mesh}, for one namespace. {MADE}"
    yield Document(f"{_FOLDER}/kustomization.yaml", (note,), _kustomization(components=services))
    yield from images.containerfiles(listed, _FOLDER)


def _comments(workload: Workload) -> tuple[str, ...]:
    return (f"The {workload.kind} of {workload.sidecar.service}, mesh {workload.sidecar.mesh}. {MADE}",)


def _owned(workload: Workload, folder: str, options: Options) -> Iterator[Document]:
    """What is meshctl's beside the files of the sidecar: a Deployment, or a patch and a Service."""
    sidecar, comments = workload.sidecar, _comments(workload)
    if sidecar.is_gateway:
        yield Document(f"{folder}/deployment.yaml", comments, _gateway(workload, options))
        return
    yield Document(f"{folder}/sidecar.yaml", comments, _patch(workload, options))
    if workload.deployment.headless is not None:
        yield Document(f"{folder}/service.yaml", comments, _headless(workload, options))


def _kustomization(**parts: object) -> dict[str, object]:
    head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    return head | {key: value for key, value in parts.items() if value}


def _component(workload: Workload, options: Options) -> dict[str, object]:
    """The ConfigMap's name gets a digest of what is in it, so that pods roll when that changes."""
    headless = workload.deployment.headless is not None
    gateway = workload.sidecar.is_gateway
    files = [f"{containers.key(each.path)}=files/{each.path}" for each in workload.files]
    generator = {
        **_metadata(workload, f"{workload.sidecar.service}-{CONFIGURATION}", options),
        "files": files,
        "options": {"immutable": True, "labels": _labels(workload)},
    }
    return _kustomization(
        resources=["deployment.yaml"] if gateway else ["service.yaml"] if headless else [],
        configMapGenerator=[generator],
        patches=[] if gateway else [{"path": "sidecar.yaml"}],
    )


def _metadata(workload: Workload, name: str, options: Options) -> dict[str, object]:
    """Without a namespace it is what it goes to that says one."""
    headless = workload.deployment.headless
    namespace = (headless.namespace if headless else "") or options.namespace
    return {"name": name, **({"namespace": namespace} if options.namespace else {})}


def _labels(workload: Workload) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "meshctl", "app.kubernetes.io/part-of": workload.sidecar.mesh}


def _patch(workload: Workload, options: Options) -> dict[str, object]:
    """Kustomize refuses it where there is no such workload."""
    name = workload.sidecar.service
    container = {**containers.sidecar(workload, options), "restartPolicy": "Always"}
    pod = {
        **({"securityContext": _LOW_PORTS} if needs_low_ports(workload.sidecar) else {}),
        # Those with a restart policy are up before, and end after, the containers that are not.
        "initContainers": [container],
        "volumes": containers.volumes(workload),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": workload_kind(options, name),
        "metadata": _metadata(workload, name, options),
        "spec": {"template": {"spec": pod}},
    }


def _headless(workload: Workload, options: Options) -> dict[str, object]:
    """What callers look up: the addresses of all pods that are ready."""
    headless = workload.deployment.headless
    name = headless.name if headless else workload.sidecar.service
    ports = [{"name": "mesh", "port": each.port} for each in facing(workload.sidecar)[:1]]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**_metadata(workload, name, options), "labels": _labels(workload)},
        "spec": {
            "clusterIP": "None",
            "selector": {label_key(options): workload.sidecar.service},
            "ports": ports,
        },
    }


def _gateway(workload: Workload, options: Options) -> dict[str, object]:
    name = workload.sidecar.service
    label = {label_key(options): name}
    labels = {**_labels(workload), **label}
    container = containers.sidecar(workload, options)
    pause = {"preStop": {"exec": {"command": ["/bin/sleep", str(_GATEWAY_PAUSE)]}}}
    low = _LOW_PORTS if needs_low_ports(workload.sidecar) else {}
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _GATEWAY_PAUSE + stop_seconds(workload),
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **low},
        "containers": [{**container, "lifecycle": pause}],
        "volumes": containers.volumes(workload),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_metadata(workload, name, options), "labels": labels},
        "spec": {
            "selector": {"matchLabels": label},
            # As many new ones as there are, before one of those before goes.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }

"""The container of a sidecar in a pod, and the volumes that it reads."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.ir import HealthListener
from meshctl.platforms import images, readiness
from meshctl.platforms.base import Options, Workload, authority_files, client_files, facing, is_everywhere
from meshctl.platforms.images import MOUNT, USER

CONFIGURATION = "sidecar"
"""What a service's ConfigMap is called behind its name."""

_CONTAINER = "meshctl-sidecar"
_STATE, _FILES, _CERTIFICATES = "meshctl-run", "meshctl-files", "meshctl-certificates"
_CLIENTS, _AUTHORITIES = "meshctl-clients", "meshctl-authorities"
_EXECUTABLE, _READABLE = 0o555, 0o444

_SECRET_KEYS = (("tls.crt", CERTIFICATE), ("tls.key", PRIVATE_KEY), ("ca.crt", TRUST_BUNDLE))
"""As cert-manager and the API server's own type of Secret name them."""

_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""All that the "restricted" profile of Pod Security asks for, and more."""

# An idle Envoy takes 70 MB, the others 30.
_RESOURCES = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}


def sidecar(workload: Workload, options: Options) -> dict[str, object]:
    """As the spec of a pod has it."""
    its = workload.sidecar
    probe = _probe(workload)
    name = "clients" if its.is_gateway else "mesh"
    ports = dict.fromkeys(each.port for each in facing(its))
    return {
        "name": _CONTAINER,
        "image": images.name(options.image, workload),
        "command": [f"{MOUNT}/{its.proxy}/run"],
        "ports": [{"name": name, "containerPort": each} for each in ports],
        "startupProbe": {**probe, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**probe, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "resources": _RESOURCES,
        "securityContext": _SECURITY,
        "volumeMounts": [
            {"name": _STATE, "mountPath": MOUNT},
            {"name": _FILES, "mountPath": f"{MOUNT}/{its.proxy}", "readOnly": True},
            {"name": _CERTIFICATES, "mountPath": f"{MOUNT}/tls", "readOnly": True},
            *(_file(_CLIENTS, path, name) for path, name in _clients(workload).items()),
            *(_file(_AUTHORITIES, path, name) for path, name in _authorities(workload).items()),
        ],
    }


def volumes(workload: Workload) -> list[object]:
    """Files of the build, certificates that somebody else puts into a Secret, and room for what it writes."""
    its = workload.sidecar
    files = [{"key": key(each.path), "path": each.path} for each in workload.files]
    return [
        {"name": _STATE, "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
        {
            "name": _FILES,
            "configMap": {
                "name": f"{its.service}-{CONFIGURATION}",
                "defaultMode": _EXECUTABLE,
                "items": files,
            },
        },
        {
            "name": _CERTIFICATES,
            "projected": {"defaultMode": _READABLE, "sources": _certificates(workload)},
        },
        *_host_files(workload),
    ]


def key(path: str) -> str:
    """A file's name in a ConfigMap, which has no folders."""
    return path.replace("/", "__")


def _certificates(workload: Workload) -> list[object]:
    items = [{"key": name, "path": path.partition("/")[2]} for name, path in _SECRET_KEYS]
    lists = {"key": "crl.pem", "path": REVOCATION_LISTS.partition("/")[2]}
    its = workload.sidecar
    return [
        {"secret": {"name": f"mesh-{its.service}", "items": items}},
        *([{"configMap": {"name": f"{its.mesh}-crl", "items": [lists]}}] if its.tls.crl else []),
    ]


def _host_files(workload: Workload) -> Iterator[object]:
    """What the spec names as files of a host: a gateway's own certificate, and the CAs of externals."""
    if _clients(workload):
        secret = {"secretName": f"{workload.sidecar.service}-clients", "defaultMode": _READABLE}
        yield {"name": _CLIENTS, "secret": secret}
    if _authorities(workload):
        its = {"name": f"{workload.sidecar.mesh}-authorities", "defaultMode": _READABLE}
        yield {"name": _AUTHORITIES, "configMap": its}


def _clients(workload: Workload) -> dict[str, str]:
    """Path to key in the Secret."""
    return dict(zip(client_files(workload.sidecar), ("tls.crt", "tls.key"), strict=False))


def _authorities(workload: Workload) -> dict[str, str]:
    """Path to key in the ConfigMap."""
    return {each: key(each.removeprefix("/")) for each in authority_files(workload.sidecar)}


def _file(volume: str, path: str, name: str) -> dict[str, object]:
    return {"name": volume, "mountPath": path, "subPath": name, "readOnly": True}


def _probe(workload: Workload) -> dict[str, object]:
    """The kubelet asks from outside, where only a health listener answers; else something in the container asks."""
    health = workload.sidecar.health
    if health is not None and _reachable(health):
        return {"httpGet": {"path": "/ready", "port": health.binds[0].port}}
    return {"exec": {"command": list(readiness.command(workload.sidecar.admin))}}


def _reachable(health: HealthListener) -> bool:
    return is_everywhere(health.binds[0].address)

"""What a container has to hold: the proxy, and what `run` and `reload` need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from meshctl.artifacts import Artifact
from meshctl.diagnostics import UsageError
from meshctl.ir import Proxy
from meshctl.platforms.base import MADE, Workload

MOUNT = "/mesh"
"""Where a bundle is in its container: the proxy's folder and `tls` to be read, the rest, with `run`, in memory."""

USER = 10001
"""Nobody in particular; not root."""

# https://pkg.go.dev/github.com/distribution/reference, by its characters alone.
_REFERENCE = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,511}")


def name(pattern: str, workload: Workload) -> str:
    """The image of one sidecar. Raises UsageError for what can be none."""
    found = pattern.replace("{proxy}", workload.sidecar.proxy).replace("{version}", workload.version)
    if not _REFERENCE.fullmatch(found):
        raise UsageError(f"{found!r} is not the name of an image")
    return found


def containerfiles(workloads: Iterable[Workload], folder: str) -> Iterator[Artifact]:
    """One for each proxy, with all packages that any of its sidecars needs."""
    by_proxy: dict[Proxy, list[Workload]] = {}
    for each in workloads:
        by_proxy.setdefault(each.sidecar.proxy, []).append(each)
    for proxy in sorted(by_proxy):
        text = "".join(f"{line}\n" for line in _containerfile(proxy, by_proxy[proxy]))
        yield Artifact(f"{folder}/images/{proxy}/Containerfile", text.encode())


def _containerfile(proxy: Proxy, workloads: Sequence[Workload]) -> Iterator[str]:
    first = workloads[0]
    packages = sorted({package for each in workloads for package in each.image.packages})
    yield f"# {proxy} as the sidecars of the mesh {first.sidecar.mesh} need it. {MADE}"
    yield f"FROM {first.image.base}"
    if packages:
        yield "RUN apt-get update \\"
        yield f"    && apt-get install --yes --no-install-recommends {' '.join(packages)} \\"
        yield "    && rm -rf /var/lib/apt/lists/*"
    yield f"USER {USER}:{USER}"
    # What an engine sends that has not been told which signal.
    yield f"STOPSIGNAL {first.stop}"
    yield f'ENTRYPOINT ["{MOUNT}/{proxy}/run"]'

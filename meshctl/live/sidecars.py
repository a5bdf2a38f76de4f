"""Start built bundles and wait until they serve what was asked for."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from msgspec import Struct

from meshctl import ir
from meshctl.diagnostics import ToolError
from meshctl.live.builds import body
from meshctl.live.processes import Process, ProcessGroup, Program

START_LIMIT = timedelta(seconds=20)
START_LIMIT_EACH = timedelta(seconds=1)
"""Until all sidecars of a mesh serve: the first, and the second for each of them."""

_POLL = 0.03


class Bundle(Struct, frozen=True):
    """A sidecar and the folder (``<bundle>``, which holds ``<proxy>/run`` and ``tls/``) built for it."""

    sidecar: ir.Sidecar
    folder: Path

    @property
    def name(self) -> str:
        """The service, and the instance where it has several bundles."""
        instance = self.sidecar.instance
        return f"{self.sidecar.service}/{instance}" if instance else self.sidecar.service

    @property
    def listeners(self) -> Iterator[tuple[str, ir.SocketAddress]]:
        """What the sidecar will listen on, and how the spec calls it."""
        sidecar = self.sidecar
        named = [
            ("public" if sidecar.is_gateway else "outbound", sidecar.outbound.binds),
            ("admin", (sidecar.admin.bind,)),
            ("inbound", sidecar.inbound.binds if sidecar.inbound else ()),
            ("health", sidecar.health.binds if sidecar.health else ()),
            *((f"local port for {each.virtual_hosts[0].service}:", each.binds) for each in sidecar.locals),
            *((f"local port for {', '.join(each.services)}:", each.binds) for each in sidecar.tcp),
        ]
        yield from ((name, each) for name, binds in named for each in binds)


def start(bundles: Sequence[Bundle], group: ProcessGroup, limit: timedelta | None = None) -> list[Process]:
    """Start all bundles and wait until each serves its own build.

    Raises ToolError when an address is taken, a proxy ends, or one does not serve within ``limit``.
    """
    for bundle in bundles:
        for name, address in bundle.listeners:
            require_free(address, f"{bundle.name}: {name} listener")
    processes = []
    for bundle in bundles:
        folder = (bundle.folder / bundle.sidecar.proxy).resolve()
        processes.append(group.start(Program(bundle.name, (str(folder / "run"),), folder)))
    limit = limit or START_LIMIT + START_LIMIT_EACH * len(bundles)
    deadline = time.monotonic() + limit.total_seconds()
    for bundle, process in zip(bundles, processes, strict=True):
        await_ready(bundle, process, deadline)
    return processes


def require_free(address: ir.SocketAddress, purpose: str) -> None:
    """Raises ToolError when nobody could listen on ``address``: another process does, or it is not ours."""
    family = socket.AF_INET6 if ":" in address.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections of an earlier run that linger must not look like a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.address, address.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ToolError(f"{purpose}: {address} is already in use by another process") from error
            raise ToolError(f"{purpose}: cannot listen on {address}: {error.strerror}") from error


def await_open(address: ir.SocketAddress, process: Process, limit: timedelta = START_LIMIT) -> None:
    """Wait until ``process`` listens on ``address``. Raises ToolError when it ends, or after ``limit``."""
    deadline = time.monotonic() + limit.total_seconds()
    while time.monotonic() < deadline:
        if process.status is not None:
            process.close()
            raise ToolError(
                f"{process.program.name} ended with status {process.status}\n{process.last_words()}"
            )
        with (
            contextlib.suppress(OSError),
            socket.create_connection((address.address, address.port), timeout=1),
        ):
            return
        time.sleep(_POLL)
    raise ToolError(f"{process.program.name} does not listen on {address}\n{process.last_words()}")


def await_ready(bundle: Bundle, process: Process, deadline: float) -> None:
    """Wait until ``deadline`` (``time.monotonic``) for a sidecar that serves its own build. Raises ToolError."""
    admin = bundle.sidecar.admin.bind
    while time.monotonic() < deadline:
        if process.status is not None:
            process.close()
            raise ToolError(
                f"{bundle.name}: {bundle.sidecar.proxy} ended with status {process.status}\n{process.last_words()}"
            )
        if body(admin, "/ready") is not None:
            require_build(bundle)
            return
        time.sleep(_POLL)
    raise ToolError(f"{bundle.name}: {bundle.sidecar.proxy} is not ready at {admin}\n{process.last_words()}")


def require_build(bundle: Bundle) -> None:
    """Raises ToolError when what answers on the admin address is not this very build."""
    answer = body(bundle.sidecar.admin.bind, "/build")
    try:
        document = json.loads(answer or b"null")
    except ValueError:
        document = None
    running = document.get("build") if isinstance(document, dict) else None
    if running != bundle.sidecar.build:
        raise ToolError(
            f"{bundle.name}: {bundle.sidecar.admin.bind} answers for build {running}, not {bundle.sidecar.build}"
        )

"""A real name server for the tables: dnsmasq, answering as a table says and nothing else.

Its answers have a lifetime of 0, as Consul's have, and their order changes. A name of the tables is unknown
(NXDOMAIN) unless it stands in the file, an address of the other family is no answer (NODATA).
"""

from __future__ import annotations

import contextlib
import getpass
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from meshctl.ir import SocketAddress
from meshctl.live.processes import Process, ProcessGroup, Program

PROGRAM = "dnsmasq"
_OPTIONS = """\
no-resolv
no-hosts
no-poll
bind-interfaces
domain-needed
local=//
local=/example/
local=/internal/
local=/consul/
local=/svc.cluster.local/
"""

Names = Mapping[str, str | list[str]]
Services = Mapping[str, list[tuple[str, int, int, int]]]
"""Name to (target, port, weight, priority)."""


class NameServer:
    """Changes are seen by the next question. Names are as :func:`name_server` says."""

    def __init__(self, where: SocketAddress, folder: Path, group: ProcessGroup) -> None:
        self._where, self._folder, self._group = where, folder, group
        self._process: Process | None = None
        self._one_at_a_time = threading.Lock()
        self._names: dict[str, str | list[str]] = {}
        self._services: dict[str, list[tuple[str, int, int, int]]] = {}

    def tell(self, names: Names, services: Services | None = None) -> None:
        """From now on these, in the place of those of the same name; none: the name is unknown."""
        with self._one_at_a_time:
            self._names |= names
            self._services |= services or {}
            self._write()
            if self._process is None or services:
                self.start()
            else:
                self._process.signal(signal.SIGHUP)

    def obeys(self, order: dict[str, Any]) -> bool:
        """`{names: …}` and `{services: …}` as in a table, `{answers: false}` and `true`; whether it was one of those."""
        match order:
            case {"names": dict(names)}:
                self.tell(names)
            case {"services": dict(services)}:
                self.tell({}, services)
            case {"answers": True}:
                self.start()
            case {"answers": False}:
                self.stop()
            case _:
                return False
        return True

    def start(self) -> None:
        """Answer (again)."""
        self.stop()
        argv = (PROGRAM, "--keep-in-foreground", f"--conf-file={self._folder / 'dnsmasq.conf'}")
        self._process = self._group.start(Program(PROGRAM, argv, self._folder))
        _await(self._where)

    def stop(self) -> None:
        """No answer any more, not even a refusal by name."""
        if self._process is not None:
            self._group.stop([self._process])
            self._process = None

    def _write(self) -> None:
        hosts = [
            f"{address} {name}\n"
            for name, written in self._names.items()
            for address in ([written] if isinstance(written, str) else written)
        ]
        written = self._folder / "hosts.new"
        written.write_text("".join(hosts))
        written.replace(self._folder / "hosts")
        lines = [
            f"listen-address={self._where.address}\nport={self._where.port}\n",
            f"user={getpass.getuser()}\ngroup=\npid-file=\naddn-hosts={self._folder / 'hosts'}\n",
            *(
                f"srv-host={name},{target},{port},{priority},{weight}\n"
                for name, listed in self._services.items()
                for target, port, weight, priority in listed
            ),
        ]
        (self._folder / "dnsmasq.conf").write_text(_OPTIONS + "".join(lines))


def _await(where: SocketAddress) -> None:
    """Until it has answered anything."""
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0\5ready\7example\0\0\1\0\1"
    deadline = time.monotonic() + 10
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                sock.connect((where.address, where.port))
                sock.send(question)
                if sock.recv(512):
                    return
            time.sleep(0.03)
    raise AssertionError(f"no name server answers at {where}")


@contextlib.contextmanager
def name_server(where: SocketAddress, folder: Path, names: Names, services: Services) -> Iterator[NameServer]:
    """DNS for ``names`` (to an address or several) and SRV records of ``services``."""
    assert shutil.which(PROGRAM), "dnsmasq is missing; run: make proxies"
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessGroup() as group:
        server = NameServer(where, folder, group)
        server.tell(names, services)
        yield server

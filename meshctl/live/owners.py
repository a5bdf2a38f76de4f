"""Whether the sidecar of a bundle is the process that listens on an address, as Linux says it in ``/proc``."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from meshctl.inspection import beginning
from meshctl.ir import SocketAddress

_LISTENING = "0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]")


class Owner(Enum):
    """Who listens."""

    SIDECAR = "the bundle's sidecar"
    OTHER = "another process"
    NOBODY = "nobody, though the sidecar's process is there"
    UNKNOWN = "no process runs from this folder, or its own may not be looked at"


def owner(folder: Path, pid_file: Path, where: SocketAddress) -> Owner:
    """Who holds the socket at ``where``, asked of the process that ``pid_file`` names if it runs in ``folder``."""
    try:
        pid = int(beginning(pid_file, 20))
        process = Path("/proc") / str(pid)
        if not (process / "cwd").samefile(folder):
            return Owner.UNKNOWN
        listening = set(_listening(process, where))
        own = {each for its in (pid, *_children(process)) for each in _sockets(its)}
    except (OSError, ValueError):
        return Owner.UNKNOWN
    if not listening:
        return Owner.NOBODY
    return Owner.SIDECAR if listening & own else Owner.OTHER


def _children(process: Path) -> Iterator[int]:
    """Workers, of which a proxy without a master has none."""
    for task in (process / "task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield from map(int, (task / "children").read_text().split())


def _sockets(pid: int) -> Iterator[str]:
    """Inodes. A worker may end while it is looked at; what may not be looked at raises."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if found := _SOCKET.fullmatch(str(descriptor.readlink())):
                    yield found[1]


def _listening(process: Path, where: SocketAddress) -> Iterator[str]:
    """Inodes of the sockets that listen there, in the process's own network."""
    wanted = _as_listed(where)
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError), (process / "net" / name).open() as lines:
            next(lines, None)
            for line in lines:
                fields = line.split()
                if fields[1] == wanted and fields[3] == _LISTENING:
                    yield fields[9]


def _as_listed(where: SocketAddress) -> str:
    family = socket.AF_INET6 if ":" in where.address else socket.AF_INET
    packed = socket.inet_pton(family, where.address)
    words = struct.unpack(f"={len(packed) // 4}L", packed)
    return "".join(f"{each:08X}" for each in words) + f":{where.port:04X}"

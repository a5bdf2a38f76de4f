"""What a target is, and the question whether it can do what a sidecar needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Protocol

from msgspec import Struct

from meshctl.artifacts import Artifact
from meshctl.ir import Feature, Proxy, Sidecar


class Native(Struct, frozen=True):
    """The proxy does it by itself, exactly as the spec says."""


class Emulated(Struct, frozen=True):
    """It behaves as the spec says but for ``how``: the exact difference, as one sentence to the user.

    Where the difference can only show in some sidecars, ``applies`` tells which ones to warn about.
    """

    how: str
    applies: Callable[[Sidecar], bool] = lambda _: True


class Unsupported(Struct, frozen=True):
    """It cannot. ``why``, and what to write ``instead``."""

    why: str
    instead: str


class Pending(Struct, frozen=True):
    """The language has it, but no target lowers it yet. ``meanwhile``: what happens as long."""

    meanwhile: str


Capability = Native | Emulated | Unsupported | Pending

_REFUSED = "no release of meshctl compiles it yet"

NOT_YET: Mapping[Feature, Capability] = {
    Feature.PATH_POLICY: Pending("paths that are not canonical are answered 400 all the same"),
    Feature.SEVERAL_PORTS: Unsupported(_REFUSED, "Give each port a service of its own."),
}
"""What no target lowers yet. What touches security is refused, for without it a spec would mean less than it says."""


class Conflict(Struct, frozen=True):
    """Things that the proxy can do alone but not together.

    ``offenders`` are the parts of a sidecar that ask for it; the finding points at where they, or one
    of the features in them, were written.
    """

    features: tuple[Feature, ...]
    offenders: Callable[[Sidecar], Iterable[object]]
    why: str
    instead: str

    def applies(self, sidecar: Sidecar) -> bool:
        """Whether any part of ``sidecar`` asks for it."""
        return any(True for _ in self.offenders(sidecar))


DEBIAN = "docker.io/library/debian:12-slim"


class Commands(Struct, frozen=True):
    """How a bundle is used. Every command runs in the folder ``<bundle>/<proxy>``.

    ``binary`` is the program's name on PATH, ``packages`` the Debian or PyPI packages that bring what
    the bundle needs, ``check`` the arguments of the proxy's own validator and ``reload`` a shell line, also for
    files in ``tls`` that were replaced. ``version`` is the argument at which the program says its own, and ``pid_file`` where
    the running one's process is written.
    ``packages_for`` are those that only some sidecars need. ``stop`` is the signal that lets what is under way end first, which
    takes ``drain`` at most. A container begins with ``image``, which has the proxy where it is not Debian's own.
    """

    binary: str
    packages: tuple[str, ...]
    check: tuple[str, ...]
    reload: str
    version: str
    pid_file: str
    stop: str
    drain: timedelta
    image: str = DEBIAN
    packages_for: Callable[[Sidecar], tuple[str, ...]] = lambda _: ()


class Target(Protocol):
    """A module that turns a sidecar into one proxy's files. Pure: the same sidecar, the same bytes."""

    PROXY: Proxy
    VERSION: str
    CAPABILITIES: Mapping[Feature, Capability]
    CONFLICTS: tuple[Conflict, ...]
    COMMANDS: Commands

    def emit(self, sidecar: Sidecar) -> tuple[Artifact, ...]:
        """The files of ``<bundle>/<proxy>``, among them an executable ``run`` that starts it."""
        ...

"""Which build each sidecar serves, against its files and against git."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from meshctl import ir
from meshctl.inspection import Deviation
from meshctl.live import builds, owners, subscriptions
from meshctl.live.builds import Answer, Heard

PID_FILES = {ir.Proxy.ENVOY: "pid", ir.Proxy.HAPROXY: "haproxy.pid", ir.Proxy.NGINX: "nginx.pid"}
"""In ``run``."""
_NAMED = 3
_SHORT = 19


class Expected(Struct, frozen=True):
    """One sidecar. ``wanted`` is what git says, ``deployed`` what its files are of, each empty where nobody says."""

    bundle: str
    mesh: str
    proxy: str
    admin: ir.SocketAddress
    wanted: str = ""
    deployed: str = ""
    folder: Path | None = None
    """Of the bundle, where its files are here."""


def ask(expected: Sequence[Expected]) -> tuple[dict[str, str], list[Deviation]]:
    """By bundle the build that is served, and what is wrong, in order of bundles."""
    answers = builds.ask(each.admin for each in expected)
    at: dict[ir.SocketAddress, list[Expected]] = defaultdict(list)
    for each in expected:
        at[each.admin].append(each)
    served: dict[str, str] = {}
    found: list[Deviation] = []
    for where, sharing in at.items():
        found += _judge_address(where, sharing, answers[where], served)
    return served, sorted(found, key=lambda each: each.bundle)


def short(build: str) -> str:
    """As much of a build id as tells it from others."""
    return build[:_SHORT]


def _judge_address(
    where: ir.SocketAddress, sharing: Sequence[Expected], answer: Answer, served: dict[str, str]
) -> Iterator[Deviation]:
    """Sidecars of several hosts have one address each on their own: who answers says which of them is here."""
    if answer.heard is Heard.SIDECAR:
        here = [each for each in sharing if (each.mesh, each.bundle) == (answer.mesh, answer.bundle)]
        if here:
            served[here[0].bundle] = answer.build
            yield from _judge(here[0], answer)
            return
    if answer.heard is Heard.OTHER and len(sharing) == 1 and _owner(sharing[0]) is owners.Owner.SIDECAR:
        message = f"the sidecar at {where} {answer.said}: it is not ready"
        yield Deviation("not-running", "", message, sharing[0].bundle)
        return
    told = _told(where, answer)
    if len(sharing) == 1:
        yield Deviation(told.slug, "", told.message, sharing[0].bundle)
        return
    names = ", ".join(each.bundle for each in sharing[:_NAMED]) + (", …" if len(sharing) > _NAMED else "")
    slug = "not-known" if told.slug == "not-running" else told.slug
    yield Deviation(slug, "", f"{told.message}: the admin address of {len(sharing)} sidecars ({names})")


def _told(where: ir.SocketAddress, answer: Answer) -> Deviation:
    """What is wrong with an answer that is not of the sidecar that should be there."""
    match answer.heard:
        case Heard.NOBODY:
            return Deviation("not-running", "", f"nobody listens at {where}")
        case Heard.UNREACHABLE:
            return Deviation("not-known", "", f"{where} cannot be asked: {answer.said}")
        case Heard.OTHER:
            return Deviation("foreign-program", "", f"what listens at {where} {answer.said}")
        case Heard.SIDECAR:
            who = f"{answer.bundle} of the mesh {answer.mesh} ({answer.proxy})"
            return Deviation("foreign-program", "", f"at {where} another sidecar answers: {who}")


def _judge(expected: Expected, answer: Answer) -> Iterator[Deviation]:
    where, said = expected.admin, short(answer.build)
    if _owner(expected) is owners.Owner.OTHER:
        message = f"another process than the sidecar of this bundle listens at {where}, and says {said}"
        yield Deviation("foreign-program", "", message, expected.bundle)
    elif expected.deployed and answer.build != expected.deployed:
        message = (
            f"{answer.proxy} at {where} goes on with {said}, and its files are of {short(expected.deployed)}"
        )
        yield Deviation("reload-not-taken", "", message + _refusals(expected), expected.bundle)
    else:
        if expected.wanted and answer.build != expected.wanted:
            message = f"{answer.proxy} at {where} serves {said}, and git says {short(expected.wanted)}"
            yield Deviation("outdated-sidecar", "", message, expected.bundle)
        for file in _not_taken(expected):
            message = f"Envoy at {where} names this build, and goes on with other content than {file} has"
            yield Deviation("reload-not-taken", "", message, expected.bundle)


def _owner(expected: Expected) -> owners.Owner:
    if expected.folder is None:
        return owners.Owner.UNKNOWN
    pid_file = expected.folder / "run" / PID_FILES[ir.Proxy(expected.proxy)]
    return owners.owner(expected.folder / expected.proxy, pid_file, expected.admin)


def _refusals(expected: Expected) -> str:
    taken = _taken(expected)
    return f"; it has refused {taken.refused} updates since its start" if taken and taken.refused else ""


def _not_taken(expected: Expected) -> Iterable[str]:
    """Files of which Envoy holds another version. While listeners drain it holds clusters of both builds."""
    taken = _taken(expected)
    if taken is None or expected.folder is None:
        return
    for file, version in sorted(taken.versions.items()):
        with contextlib.suppress(OSError):
            written = subscriptions.written(expected.folder / expected.proxy / file)
            if written != version and not version.startswith("both:"):
                yield file


def _taken(expected: Expected) -> subscriptions.Subscriptions | None:
    if expected.folder is None or expected.proxy != ir.Proxy.ENVOY:
        return None
    return subscriptions.taken(expected.folder / "run" / "admin.sock")


__all__ = ["Expected", "ask", "short"]

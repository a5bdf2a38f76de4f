"""systemd: drop-ins that bound the addresses a unit may exchange packets with.

``IPAddressDeny=`` and ``IPAddressAllow=`` know addresses but neither ports nor who began
(https://www.freedesktop.org/software/systemd/man/systemd.resource-control.html), so whoever may ask a unit must be
allowed beside those whom it asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from meshctl.artifacts import Artifact
from meshctl.diagnostics import UsageError
from meshctl.ir.segmentation import ANYWHERE, Perimeter, networks
from meshctl.segmentation.naming import Naming
from meshctl.segmentation.notes import notes

DROP_IN = "50-meshctl-segmentation.conf"
LOOPBACK = ("127.0.0.0/8", "::1/128")


def emit(perimeters: Iterable[Perimeter], naming: Naming, *, intercept: bool) -> Iterator[Artifact]:
    """A drop-in for the sidecar's unit, and one for the application's.

    Raises UsageError with ``intercept``: systemd would see the addresses from before the interception in answers.
    """
    if intercept:
        raise UsageError("systemd cannot intercept connections; --intercept is for --format nftables")
    for each in perimeters:
        application, sidecar = naming.units(each.service)
        folder = f"systemd/{each.name}"
        if each.entrances:
            yield _drop_in(f"{folder}/{application}.d", _application(each))
        yield _drop_in(f"{folder}/{sidecar}.d", _sidecar(each))


def _drop_in(folder: str, lines: Iterable[str]) -> Artifact:
    return Artifact(f"{folder}/{DROP_IN}", "".join(f"{line}\n" for line in lines).encode())


def _application(perimeter: Perimeter) -> Iterator[str]:
    yield _head(perimeter, "The application")
    yield "# Addresses, not ports: it may reach whatever listens on them, on loopback all of this host."
    own = (*perimeter.entrances, *((perimeter.application,) if perimeter.application else ()))
    places = [place for each in perimeter.besides for place in each.networks]
    yield from ("", "[Service]", *_filter([*_local(each.address for each in own), *places]))
    # A program with another user's rights would be past the rules by user, a raw socket past all of them.
    yield "NoNewPrivileges=yes"
    yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"


def _sidecar(perimeter: Perimeter) -> Iterator[str]:
    yield _head(perimeter, "The sidecar")
    yield "# Addresses, not ports, and of whom it asks and who asks it alike."
    yield from (f"# Open: {note}." for note in notes(perimeter))
    unbounded = list(_unbounded(perimeter))
    if unbounded:
        yield f"# No bound on addresses: {'; '.join(unbounded)}."
    yield from ("", "[Service]")
    if not unbounded:
        yield from _filter(_peers(perimeter))
    yield "NoNewPrivileges=yes"
    yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"


def _unbounded(perimeter: Perimeter) -> Iterator[str]:
    """Why packets of any address must pass."""
    if perimeter.facing:
        ports = ", ".join(map(str, sorted({each.port for each in perimeter.facing})))
        yield f"port {ports} is for clients outside the mesh"
    if perimeter.inbound and perimeter.callers is None:
        yield "callers can be anywhere"
    for each in perimeter.callers or ():
        if not each.networks:
            yield f"the spec does not say where its caller {each.service} is"
    for place in perimeter.destinations:
        if set(place.networks) & set(ANYWHERE):
            yield f"{place.name} can be anywhere"


def _peers(perimeter: Perimeter) -> list[str]:
    callers = [place for each in perimeter.callers or () for place in each.networks]
    callees = [place for each in perimeter.destinations for place in each.networks]
    own = (perimeter.admin, *perimeter.entrances)
    application = (perimeter.application.address,) if perimeter.application else ()
    return [*_local((*(each.address for each in own), *application)), *callers, *callees]


def _filter(places: Iterable[str]) -> Iterator[str]:
    yield "IPAddressDeny=any"
    yield "IPAddressAllow="
    yield from (f"IPAddressAllow={place}" for place in networks(places))


def _local(addresses: Iterable[str]) -> Iterator[str]:
    """Loopback whole: an answer may come from another address of it than the one that was asked."""
    for address in sorted(set(addresses)):
        parsed = ip_address(address)
        if parsed.is_loopback:
            yield LOOPBACK[parsed.version == 6]
        elif not parsed.is_unspecified:
            yield address


def _head(perimeter: Perimeter, whose: str) -> str:
    return f"# {whose} of {perimeter.name}, mesh {perimeter.mesh}. Made by meshctl; changes are lost when it is made again."

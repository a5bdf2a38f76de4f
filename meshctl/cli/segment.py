"""`meshctl segment`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options
from meshctl.cli.findings import Format
from meshctl.diagnostics import UsageError
from meshctl.segmentation import Options, Segmenter
from meshctl.segmentation.naming import PLACEHOLDER, Naming

if TYPE_CHECKING:
    from meshctl.artifacts import Artifact
    from meshctl.ir.segmentation import Destination

_DEFAULT = Naming()
_BESIDES = re.compile(r"(?P<network>.+):(?P<port>[0-9]{1,5})(?:/(?P<transport>tcp|udp))?")
_LARGEST_PORT = 65535
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


FormatOption = Annotated[Segmenter, typer.Option("--format", help="Who keeps the rules.")]
Service = Annotated[
    list[str] | None, typer.Option("--service", help="Only around this service.", show_default=False)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        parser=options.folder,
        metavar="DIR",
        help="Write files below this folder; without it they are printed.",
        show_default=False,
    ),
]
Application = Annotated[
    str, typer.Option(metavar="NAME", help=f"The application's user or unit; {PLACEHOLDER} is its service.")
]
Sidecar = Annotated[str, typer.Option(metavar="NAME", help="The sidecar's user or unit.")]
Also = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NETWORK:PORT[/udp]",
        help="What applications may reach beside their sidecar.",
        show_default=False,
    ),
]
Within = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=NETWORK",
        help="Where the addresses of a callee that is looked up can be.",
        show_default=False,
    ),
]
Intercept = Annotated[
    bool, typer.Option("--intercept", help="Lead applications to their sidecar that do not know it.")
]
Label = Annotated[str, typer.Option(metavar="KEY", help="The label that holds a pod's service.")]
Namespace = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of services that the spec does not place.", show_default=False),
]


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("segment", help=f"Segment: {text}")(segment)


def segment(
    spec: options.Spec = None,
    env: options.Environment = None,
    *,
    form: FormatOption = Segmenter.NFTABLES,
    service: Service = None,
    out: Out = None,
    application: Application = _DEFAULT.application,
    sidecar: Sidecar = _DEFAULT.sidecar,
    also: Also = None,
    within: Within = None,
    intercept: Intercept = False,
    label: Label = _DEFAULT.label,
    namespace: Namespace = None,
) -> int:
    """Rules around the sidecars, so that nothing goes past them."""
    from meshctl import pipeline
    from meshctl.resolve.segmentation import Surroundings

    services = tuple(service or ())
    around = Surroundings(
        besides=tuple(_besides(each) for each in also or ()),
        within=_within(within or ()),
        namespace=_namespace(namespace),
    )
    naming = Naming(application, sidecar, label)
    where = options.location(spec)
    validated = pipeline.validate(where, environment=env)
    if validated.mesh is None:
        findings.report(validated, Format.TEXT, "segment", where, to=sys.stderr)
        sys.stderr.write(f"{findings.outcome(validated)}; nothing was made\n")
        return 2 if validated.unreadable else 1
    options.require_known(services, validated.mesh)
    artifacts = pipeline.segment(validated, form, Options(naming, intercept), around, services)
    if out is None:
        _print(artifacts, form)
    else:
        written = pipeline.write_segmentation(validated, artifacts, out, form, services)
        options.tell_paths(written, out, sys.stdout)
        sys.stdout.write(f"{options.counted(written)}\n")
    return 0


def _print(artifacts: Iterable[Artifact], form: Segmenter) -> None:
    for each in artifacts:
        if form is Segmenter.SYSTEMD:
            # Several files, which one stream cannot be: each says which it is.
            sys.stdout.write(f"# {each.path.partition('/')[2]}\n")
        sys.stdout.write(each.content.decode())


def _besides(text: str) -> Destination:
    from meshctl.ir.segmentation import Destination, Transport, networks

    found = _BESIDES.fullmatch(text)
    port = int(found["port"]) if found else 0
    if found is None or not 0 < port <= _LARGEST_PORT:
        raise UsageError(
            f"--also {text}: expected NETWORK:PORT or NETWORK:PORT/udp, such as 127.0.0.53:53/udp"
        )
    bare = found["network"].removeprefix("[").removesuffix("]")
    return Destination(
        "--also", networks([_network("--also", bare)]), port, Transport(found["transport"] or "tcp")
    )


def _within(written: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in written:
        name, equals, network = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--within {text}: expected NAME=NETWORK, such as carts=10.0.0.0/16")
        found[name] = (*found.get(name, ()), _network("--within", network))
    return found


def _network(option: str, text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise UsageError(f"{option}: {text!r} is not a network such as 10.0.0.0/16, or an address") from None


def _namespace(text: str | None) -> str:
    if text is not None and not _NAMESPACE.fullmatch(text):
        raise UsageError(f"--namespace: {text!r} is not the name of a namespace")
    return text or ""

"""Options that several commands share, and the places where a spec is by default."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from meshctl.cache import premises
from meshctl.cli.findings import FailOn, Format
from meshctl.diagnostics import UsageError
from meshctl.ir import Mesh, Proxy
from meshctl.suggestions import nearest

if TYPE_CHECKING:
    from meshctl.artifacts import Written

DEFAULT_SPECS = ("mesh.yaml", "mesh")
"""Where the spec is looked for when none is named."""
Spec = Annotated[
    str | None,
    typer.Argument(
        metavar="[SPEC]",
        help="A file, a folder, or REV:path for a git revision. Default: mesh.yaml or mesh/ here.",
        show_default=False,
    ),
]
Environment = Annotated[
    str | None,
    typer.Option(
        "--env",
        metavar="NAME",
        help="Merge environments/NAME.yaml, beside the spec, over it.",
        show_default=False,
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How findings are printed.")]
FailOnOption = Annotated[
    FailOn, typer.Option("--fail-on", help="The mildest finding that gives exit code 1.")
]
NoCache = Annotated[
    bool,
    typer.Option("--no-cache", help="Use nothing that earlier runs found out, and keep nothing."),
]
"""Looked at before there are commands (:mod:`meshctl.cache.answers`)."""
ProxyOption = Annotated[
    Proxy | None,
    typer.Option(
        "--proxy", help="Make every sidecar this proxy, whatever the spec says.", show_default=False
    ),
]


def folder(text: str | Path) -> Path:
    """A folder's name from the command line. An empty one is a usage error: a shell variable was unset."""
    if not str(text):
        raise typer.BadParameter("the name of the output folder is empty")
    return Path(text)


Out = Annotated[Path, typer.Option("-o", "--out", parser=folder, metavar="DIR", help="The output folder.")]

_SHOWN = 20

CA_FOLDER = Path(".meshctl") / "ca"
"""Where `certs init` puts a CA, beside the spec."""

Authority = Annotated[
    Path | None,
    typer.Option("--ca", help="The CA's folder. Default: .meshctl/ca beside the spec.", show_default=False),
]

Build = Annotated[
    Path,
    typer.Option("-o", "--out", parser=folder, metavar="DIR", help="The folder that `meshctl build` wrote."),
]
Services = Annotated[
    list[str] | None, typer.Option("--service", help="Only this service's bundles.", show_default=False)
]


def default_authority(spec: str | None) -> Path:
    """Where the CA is when nobody says."""
    try:
        return beside(location(spec)) / CA_FOLDER
    except UsageError:
        # Where bundles are deployed there is no spec, and the commands about certificates need none.
        return CA_FOLDER


def moment(when: datetime) -> str:
    """A time in UTC as it is printed (RFC 3339)."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def location(spec: str | None) -> str:
    """The spec that a command works on. Raises UsageError when none is named and none is here."""
    if spec is not None:
        return spec
    for default in DEFAULT_SPECS:
        if Path(default).exists():
            return default
        premises.absent(default)
    raise UsageError("there is no mesh.yaml and no mesh/ here; name the spec: `meshctl … SPEC`")


def require_known(services: Iterable[str], mesh: Mesh) -> None:
    """Raises UsageError for services that the mesh does not have."""
    known = sorted({each.service for each in mesh.sidecars})
    unknown = sorted(set(services).difference(known))
    if unknown:
        close = dict.fromkeys(filter(None, (nearest(each, known) for each in unknown)))
        meant = f"; did you mean {', '.join(f'`{each}`' for each in close)}?" if close else ""
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        raise UsageError(
            f"there is no service named {', '.join(unknown)} in the spec{meant}"
            f" (there are {', '.join(known[:_SHOWN])}{more})"
        )


def tell_paths(written: Written, out: Path, to: TextIO) -> None:
    """Which files were made, changed and removed; not all of many."""
    for sign, paths in (("+", written.created), ("~", written.updated), ("-", written.removed)):
        to.writelines(f"{sign} {out}/{path}\n" for path in paths[:_SHOWN])
        if len(paths) > _SHOWN:
            to.write(f"{sign} … and {len(paths) - _SHOWN} more\n")


def counted(written: Written) -> str:
    """The same in numbers."""
    return (
        f"{len(written.created)} created, {len(written.updated)} updated, {len(written.removed)} removed, "
        f"{written.unchanged} unchanged"
    )


def beside(spec: str) -> Path:
    """The folder that the spec is in, or the work folder for one from a git revision."""
    path = Path(spec)
    if path.is_dir():
        return path
    return path.parent if path.exists() else Path()


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end it as Ctrl-C does, so that nothing is left behind."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""`meshctl up`."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from meshctl.cli import findings, options
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from meshctl import ir
    from meshctl.ir import Proxy
    from meshctl.pipeline import Validated
    from meshctl.pipeline.rehearsal import Rehearsal

Keep = Annotated[
    Path | None,
    typer.Option("--keep", help="Build here, and leave it there afterwards.", show_default=False),
]
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")
_COMMAND = "meshctl.command"
_WATCH = 0.2
_WIDTH = 120


class WithCommand(TyperCommand):
    """Keeps what stands behind ``--`` apart: it is a command to run, not arguments of this one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer has click's class under a private name
        """Split at the first ``--``."""
        if "--" in args:
            at = args.index("--")
            args, ctx.meta[_COMMAND] = args[:at], args[at + 1 :]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as above
        """Usage that shows the command."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND …]"]


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("up", cls=WithCommand, help=f"Up: {text}")(up)


def up(
    context: typer.Context,
    spec: options.Spec = None,
    env: options.Environment = None,
    proxy: options.ProxyOption = None,
    keep: Keep = None,
    no_apps: Annotated[
        bool, typer.Option("--no-apps", help="Start no echo applications: you bring your own.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option("--for", help="Stop after this many seconds.", show_default=False)
    ] = None,
    log: Annotated[
        bool | None,
        typer.Option("--log/--no-log", help="Follow the sidecars' log. Default: unless there is a COMMAND."),
    ] = None,
) -> int:
    """Run the mesh on loopback until Ctrl-C, or until COMMAND ends, and give its status.

    COMMAND finds the sidecars in MESHCTL_<SERVICE>_OUTBOUND, local ports in MESHCTL_<SERVICE>_LOCAL_<CALLEE>.
    """
    from meshctl import pipeline

    gc.enable()  # this one lives long
    command: list[str] = context.meta.get(_COMMAND, [])
    validated = pipeline.validate(options.location(spec), environment=env, proxy=proxy, on_loopback=True)
    _tell_findings(validated, validating(spec, env, proxy))
    if validated.mesh is None:
        return 2 if validated.unreadable else 1
    console = _console()
    lines = Log(console, validated.mesh)
    lines.muted = not (log if log is not None else not command)
    with (
        options.stopped_by_signals(),
        _folder(keep) as out,
        pipeline.up(
            validated,
            out,
            now=datetime.now(UTC),
            sink=lines.show,
            with_applications=not no_apps,
        ) as rehearsal,
    ):
        if not command:
            _print_table(console, rehearsal)
        try:
            return _run(command, rehearsal) if command else _watch(rehearsal, seconds)
        finally:
            # What proxies say when they are stopped is of no interest.
            lines.muted = True


def validating(spec: str | None, env: str | None, proxy: Proxy | None) -> str:
    """The command that asks about the same mesh."""
    options = (("--env", env), ("--proxy", proxy))
    given = [word for name, value in options if value is not None for word in (name, str(value))]
    return shlex.join(["meshctl", "validate", *([spec] if spec is not None else []), *given])


def _tell_findings(validated: Validated, command: str) -> None:
    """Errors in full; of the rest only how many, for this command is not about them, and which one is."""
    errors = [each for each in validated.findings if each.is_error]
    others = [each for each in validated.findings if not each.is_error]
    findings.show(errors, validated.texts, "text", to=sys.stderr)
    if errors:
        sys.stderr.write(f"{findings.summary(errors)}\n")
    if others:
        sys.stderr.write(f"{findings.summary(others)}; `{command}` shows them\n")


def _watch(rehearsal: Rehearsal, seconds: float | None) -> int:
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    while time.monotonic() < end:
        rehearsal.require_running()
        time.sleep(_WATCH)
    return 0


def _run(command: list[str], rehearsal: Rehearsal) -> int:
    """The command's own status; 128 and the signal's number when one ended it, as shells say it."""
    try:
        child = subprocess.Popen(command, env={**os.environ, **rehearsal.variables()})
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}") from error
    try:
        while child.poll() is None:
            rehearsal.require_running()
            time.sleep(_WATCH / 4)
    finally:
        if child.poll() is None:
            child.terminate()
        status = child.wait()
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="meshctl-up-") as scratch:
            yield Path(scratch)
        return
    if keep.exists() and any(keep.iterdir()):
        raise UsageError(f"{keep} is not empty; --keep wants a folder of its own")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep


def _console(width: int | None = None) -> Console:
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, width=width)


def _print_table(console: Console, rehearsal: Rehearsal) -> None:
    from rich.table import Table

    instances = {each.socket.address: each.instance for each in rehearsal.applications}
    table = Table(
        title=f"{rehearsal.mesh.name} on this machine", title_justify="left", box=None, pad_edge=False
    )
    for column in ("service", "instance", "proxy", "call as this service does"):
        table.add_column(column, no_wrap=True)
    for sidecar in rehearsal.mesh.sidecars:
        address = sidecar.outbound.bind.address
        table.add_row(
            sidecar.service,
            instances.get(address, sidecar.instance),
            sidecar.proxy,
            "\n".join(_calls(sidecar)) or "calls nobody",
        )
    # Wider than a narrow terminal rather than broken: these lines are there to be copied.
    _console(width=max(console.width, _WIDTH)).print(table)
    if any(each.origin for sidecar in rehearsal.mesh.sidecars for each in sidecar.clusters):
        console.print("Externals are echo applications here, without TLS.", style="dim")
    console.print("Ctrl-C stops everything.", style="dim")


def _calls(sidecar: ir.Sidecar) -> Iterator[str]:
    """Command lines to copy: what the application, or at a gateway the world, can ask."""
    insecure = "-k " if sidecar.outbound.tls else ""
    scheme = "https" if sidecar.outbound.tls else "http"
    for host in sidecar.outbound.virtual_hosts:
        name = host.hostnames[0]
        header = "" if name == "*" else f"-H 'Host: {name.replace('*', 'any')}' "
        yield f"curl {insecure}{header}{scheme}://{sidecar.outbound.bind}/"
    for local in sidecar.locals:
        yield f"curl http://{local.bind}/  # {local.virtual_hosts[0].service}"
    for stream in sidecar.tcp:
        yield f"nc {stream.binds[0].address} {stream.binds[0].port}  # {', '.join(stream.services)}"


class Log:
    """The output of all programs, one colour for each service, access-log lines made short."""

    def __init__(self, console: Console, mesh: ir.Mesh) -> None:
        services = sorted({each.service for each in mesh.sidecars})
        self._console = console
        self._colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(services)}
        self._width = max(len(name) for name in services)
        self.muted = False

    def show(self, name: str, line: str) -> None:
        """One line of the program called ``name``: a service, or service/instance."""
        from rich.text import Text

        if self.muted:
            return
        service = name.partition("/")[0]
        told = findings.printable(_short(line))
        if told:
            prefix = Text(f"{service:{self._width}} │ ", style=self._colours.get(service, "dim"))
            self._console.print(prefix + Text(told), soft_wrap=True)


def _short(line: str) -> str:
    """An access-log line in words; any other line as it is."""
    if not line.startswith("{"):
        return line
    try:
        entry = json.loads(line)
        arrow = f"→ {entry['host']}" if entry["direction"] == "outbound" else f"← {entry['caller']}"
        tries = f" in {entry['tries']} tries" if entry["tries"] > 1 else ""
        route = f" by route {entry['route']}" if entry["route"] else ""
        return f"{arrow} {entry['method']} {entry['path']} {entry['status']}{route}{tries}, {entry['duration_ms']} ms"
    except (ValueError, KeyError, TypeError):
        return line

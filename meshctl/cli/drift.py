"""`meshctl drift`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.catalogue import CODES
from meshctl.cli import options, sides
from meshctl.cli.formats.context import json_text, one_line
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from meshctl.inspection import Deviation
    from meshctl.pipeline import Drift

SCHEMA_VERSION = 1


class DriftFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("drift", help=f"Drift: {text}")(drift)


Bundle = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        parser=options.folder,
        metavar="DIR",
        help="A deployed folder that `meshctl build` wrote, or one bundle of it.",
        show_default=False,
    ),
]
Live = Annotated[bool, typer.Option("--live", help="Ask the running sidecars which build they serve.")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="BUNDLE",
        help="Only this service, or service/instance: what this host has.",
        show_default=False,
    ),
]
NoSpec = Annotated[
    bool, typer.Option("--no-spec", help="Where git is not: take the folder's manifest at its word.")
]


def drift(
    spec: options.Spec = None,
    env: options.Environment = None,
    bundle: Bundle = None,
    live: Live = False,
    only: Only = None,
    no_spec: NoSpec = False,
    form: Annotated[DriftFormat, typer.Option("--format", help="How it is printed.")] = DriftFormat.TEXT,
) -> int:
    """Is what is deployed, and what runs, as the spec in git says?"""
    from meshctl import pipeline

    if bundle is None and not live:
        raise UsageError("name a deployed folder with --bundle, ask what runs with --live, or both")
    if no_spec and (bundle is None or spec is not None or env is not None):
        raise UsageError("--no-spec is for a folder (--bundle) alone, without a spec and without --env")
    where = None if no_spec else options.location(spec)
    validated = None if where is None else pipeline.validate(where, environment=env)
    if validated is not None and not sides.usable(validated):
        return 2
    found = pipeline.drift(validated, bundle, only=tuple(only or ()), live=live)
    if form is DriftFormat.JSON:
        sys.stdout.write(_json(found, where))
    else:
        sys.stdout.writelines(_lines(found))
        sys.stderr.writelines(_hints(found))
        sys.stderr.write(f"{_summary(found, where, live=live)}\n")
    return found.exit_code


def _lines(found: Drift) -> Iterator[str]:
    for each in found.deviations:
        yield f"{_place(found, each)}: {CODES[each.slug].code} {each.slug}: {one_line(each.message)}\n"


def _place(found: Drift, deviation: Deviation) -> str:
    below = deviation.path or deviation.bundle
    return one_line(f"{found.folder}/{below}" if deviation.path else below or "the mesh")


def _hints(found: Drift) -> Iterator[str]:
    for slug in dict.fromkeys(each.slug for each in found.deviations):
        yield f"{slug}: {CODES[slug].fix}\n"


def _summary(found: Drift, spec: str | None, *, live: bool) -> str:
    differ = sum(any(_concerns(it, each.bundle) for it in found.deviations) for each in found.bundles)
    served = sum(bool(each.served) for each in found.bundles)
    said = f"as {one_line(spec)} says" if spec else "as its manifest says"
    running = f", {served} sidecars said their build" if live else ""
    count = f"{len(found.bundles)} bundle{'' if len(found.bundles) == 1 else 's'}"
    if not differ:
        beside = "; what is beside them is not" if found.deviations else ""
        return f"{count}, all {said}{running}{beside}"
    return f"{count}, {differ} of them not, or not known to be, {said}{running}"


def _concerns(deviation: Deviation, bundle: str) -> bool:
    """Whether it is of the bundle, or of a folder that the bundle is in."""
    if deviation.bundle:
        return deviation.bundle == bundle
    return deviation.path == "." or (bool(deviation.path) and bundle.startswith(f"{deviation.path}/"))


def _json(found: Drift, spec: str | None) -> str:
    return json_text(
        {
            "schemaVersion": SCHEMA_VERSION,
            "spec": spec,
            "folder": None if found.folder is None else str(found.folder),
            "drifted": found.exit_code == 1,
            "bundles": [
                {
                    "bundle": each.bundle,
                    "proxy": each.proxy,
                    "admin": each.admin or None,
                    "wanted": each.wanted or None,
                    "deployed": each.deployed or None,
                    "served": each.served or None,
                }
                for each in found.bundles
            ],
            "findings": [
                {
                    "code": CODES[each.slug].code,
                    "slug": each.slug,
                    "bundle": each.bundle or None,
                    "path": each.path or None,
                    "message": each.message,
                    "fix": CODES[each.slug].fix,
                }
                for each in found.deviations
            ],
        }
    )

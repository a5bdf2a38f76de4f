"""`meshctl bundle`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options
from meshctl.cli.findings import Format
from meshctl.diagnostics import FindingsError, UsageError
from meshctl.platforms import Options, Platform
from meshctl.platforms.base import PLACEHOLDER

if TYPE_CHECKING:
    from meshctl.pipeline import Validated

_DEFAULT = Options()
# What needs no quoting anywhere.
_FOLDER = re.compile(r"(?:/[A-Za-z0-9_+@-][A-Za-z0-9._+@-]*)+")
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_FOLDER = 512
_ONLY = {
    "--application": (Platform.SYSTEMD, Platform.COMPOSE),
    "--user": (Platform.SYSTEMD,),
    "--bundles": (Platform.SYSTEMD, Platform.COMPOSE),
    "--image": (Platform.COMPOSE, Platform.KUBERNETES),
    "--namespace": (Platform.KUBERNETES,),
    "--label": (Platform.KUBERNETES,),
    "--workload": (Platform.KUBERNETES,),
}

PlatformOption = Annotated[Platform, typer.Option("--platform", help="Who starts the sidecars.")]
Application = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"The application's unit, or its service of compose; {PLACEHOLDER} is its name in the spec.",
        show_default=_DEFAULT.application,
    ),
]
User = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Whom a sidecar runs as (systemd).", show_default=_DEFAULT.user),
]
Bundles = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Where the build is on the host that runs it.", show_default=_DEFAULT.bundles
    ),
]
ImageOption = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="NAME",
        help="A sidecar's container image, with {proxy} and {version}.",
        show_default=_DEFAULT.image,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where the workloads' own manifests say that they are.",
        show_default=False,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="The label that holds a pod's service.", show_default=_DEFAULT.label),
]
WorkloadOption = Annotated[
    list[str] | None,
    typer.Option(
        "--workload",
        metavar="SERVICE=KIND",
        help="What runs a service's pods, where it is no Deployment.",
        show_default=False,
    ),
]


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("bundle", help=f"Bundle: {text}")(bundle)


def bundle(
    spec: options.Spec = None,
    env: options.Environment = None,
    *,
    platform: PlatformOption,
    out: options.Out = Path("platforms"),
    application: Application = None,
    user: User = None,
    bundles: Bundles = None,
    image: ImageOption = None,
    namespace: Namespace = None,
    label: Label = None,
    workload: WorkloadOption = None,
) -> int:
    """What the platform needs around the bundles of a build."""
    from meshctl import pipeline

    given = {
        "--application": application,
        "--user": user,
        "--bundles": bundles,
        "--image": image,
        "--namespace": namespace,
        "--label": label,
    }
    _require_meant(
        platform,
        [*(name for name, it in given.items() if it is not None), *(["--workload"] if workload else [])],
    )
    where = options.location(spec)
    validated = pipeline.validate(where, environment=env)
    if validated.mesh is None:
        findings.report(validated, Format.TEXT, "bundle", where, to=sys.stderr)
        sys.stderr.write(f"{findings.outcome(validated)}; nothing was made\n")
        return 2 if validated.unreadable else 1
    kinds = _kinds(workload or ())
    options.require_known(tuple(kinds), validated.mesh)
    chosen = Options(
        application=_or(application, _DEFAULT.application),
        user=_or(user, _DEFAULT.user),
        bundles=_bundles(_or(bundles, _DEFAULT.bundles)),
        image=_or(image, _DEFAULT.image),
        namespace=_namespace(namespace),
        label=_or(label, _DEFAULT.label),
        workloads=kinds,
    )
    return _write(validated, platform, chosen, out)


def _write(validated: Validated, platform: Platform, chosen: Options, out: Path) -> int:
    from meshctl import pipeline

    try:
        artifacts, found = pipeline.deploy(validated, platform, chosen)
    except FindingsError as error:
        findings.tell(error)
        sys.stderr.write(f"{findings.summary(error.findings)}; nothing was made\n")
        return error.exit_code
    findings.show(found, validated.texts, to=sys.stderr)
    written = pipeline.write_deployment(validated, artifacts, out, platform)
    options.tell_paths(written, out, sys.stdout)
    sys.stdout.write(f"{options.counted(written)}\n")
    return 0


def _require_meant(platform: Platform, given: Iterable[str]) -> None:
    """An option that a platform does not have would be a wish that nobody hears."""
    for name in given:
        if platform not in _ONLY[name]:
            raise UsageError(f"{name} means nothing with --platform {platform}")


def _or(given: str | None, default: str) -> str:
    """What is empty was given all the same."""
    return default if given is None else given


def _bundles(text: str) -> str:
    folder = text.rstrip("/")
    if not _FOLDER.fullmatch(folder) or len(folder) > _LONGEST_FOLDER:
        raise UsageError(
            f"--bundles: {text!r} is not an absolute path of letters, digits and . _ + @ -, such as {_DEFAULT.bundles}"
        )
    return folder


def _namespace(text: str | None) -> str:
    if text is not None and not _NAMESPACE.fullmatch(text):
        raise UsageError(f"--namespace: {text!r} is not the name of a namespace")
    return text or ""


def _kinds(written: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in written:
        service, equals, kind = text.partition("=")
        if not equals:
            raise UsageError(f"--workload {text}: expected SERVICE=KIND, such as ledger=StatefulSet")
        found[service] = kind
    return found

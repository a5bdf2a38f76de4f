"""`meshctl certs export` and `import`: identities for other issuers, and keys for those who must carry them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from meshctl.cli import findings, options
from meshctl.cli.enrolment import RELOAD, Bundle, Trust
from meshctl.diagnostics import UsageError

CAVEATS = (
    "These files hold private keys: whoever has the recipient's key, today or in ten years, can read each that was ever committed, "
    "and be those services until the certificates end. age does not say who encrypted: who can commit can exchange them. "
    "`meshctl certs csr` needs no key to travel at all.\n"
)


class Format(StrEnum):
    """What `certs export --format` takes."""

    CERT_MANAGER = "cert-manager"
    AGE = "age"


def export(
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="Resources for cert-manager, or encrypted secrets.", show_default=False
        ),
    ],
    out: options.Build = Path("build"),
    service: options.Services = None,
    *,
    issuer: Annotated[
        str | None, typer.Option(help="cert-manager: the name of its issuer.", show_default=False)
    ] = None,
    kind: Annotated[
        str, typer.Option("--issuer-kind", help="cert-manager: Issuer or ClusterIssuer.")
    ] = "Issuer",
    group: Annotated[
        str, typer.Option("--issuer-group", help="cert-manager: its API group.")
    ] = "cert-manager.io",
    namespace: Annotated[
        str | None, typer.Option(help="cert-manager: where the resources go.", show_default=False)
    ] = None,
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            help="age: who may read it, age1… or an SSH public key; again for more.", show_default=False
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            parser=options.folder,
            metavar="DIR",
            help="age: the folder of encrypted files.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Where the build is: its identities for cert-manager (YAML), or its keys and certificates encrypted for age."""
    match form:
        case Format.CERT_MANAGER:
            if issuer is None or recipient or to:
                raise UsageError("`--format cert-manager` needs `--issuer NAME`, and nothing that is age's")
            return _cert_manager(out, service or [], (issuer, kind, group), namespace)
        case Format.AGE:
            if not recipient or to is None or issuer or namespace:
                raise UsageError(
                    "`--format age` needs `--recipient` and `--to DIR`, and nothing that is cert-manager's"
                )
            return _age(out, service or [], recipient, to)


def import_(
    bundle: Bundle,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `certs export --format age` wrote.")],
    identity: Annotated[Path, typer.Option(metavar="FILE", help="The age (or SSH) key to read it with.")],
    trust: Trust = None,
) -> int:
    """Where the sidecar runs: check the secrets in an encrypted file, and put them in force."""
    from meshctl import pipeline

    now = datetime.now(UTC)
    identities = pipeline.decrypt_bundle(bundle, file, identity, trust, now)
    (status,) = pipeline.certificate_status(bundle, None, now)
    end = options.moment(status.not_after) if status.not_after else "?"
    sys.stdout.write(f"* certificate of {identities.holders[0]} installed, until {end}\n")
    sys.stderr.write(RELOAD)
    return 0


def _cert_manager(out: Path, services: list[str], issuer: tuple[str, str, str], namespace: str | None) -> int:
    from meshctl import pipeline
    from meshctl.pki.cert_manager import IssuerReference

    text, number = pipeline.cert_manager(out, services, IssuerReference(*issuer), namespace)
    sys.stdout.write(text)
    sys.stderr.write(f"{number} Certificate{'' if number == 1 else 's'}\n")
    return 0


def _age(out: Path, services: list[str], recipients: list[str], to: Path) -> int:
    from meshctl import pipeline

    for path in pipeline.encrypt_bundles(out, services, recipients, to):
        sys.stdout.write(f"+ {findings.printable(str(path))}\n")
    sys.stderr.write(CAVEATS)
    return 0


COMMANDS: Mapping[str, Callable[..., int]] = {"export": export, "import": import_}

"""`meshctl certs`: the mesh's CA and the certificates of its sidecars."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import carrying, enrolment, findings, options, rotate_ca
from meshctl.cli.options import Authority
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from meshctl import pipeline
    from meshctl.pki.store import CertificateStatus

SCHEMA_VERSION = 1

_DEPLOY = "Deploy the bundles' tls folders, and reload the sidecars as their README says.\n"


class Format(StrEnum):
    """What `certs status --format` takes."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer, text: str) -> None:
    """Add the commands."""
    certs = typer.Typer(help=f"Certificates: {text}", no_args_is_help=True)
    own: dict[str, Callable[..., int]] = {"init": init, "issue": issue, "status": status, "revoke": revoke}
    for name, command in {**own, **enrolment.COMMANDS, **carrying.COMMANDS}.items():
        certs.command(name)(command)
    certs.command("rotate-ca")(rotate_ca.rotate_ca)
    app.add_typer(certs, name="certs")


def init(spec: options.Spec = None, env: options.Environment = None, ca: Authority = None) -> int:
    """Make a CA for the mesh: a root for ten years, and below it an issuing CA for one."""
    from meshctl import pipeline

    where = options.location(spec)
    validated = pipeline.validate(where, environment=env)
    if validated.mesh is None:
        findings.show(validated.findings, validated.texts, "text", to=sys.stderr)
        return 2 if validated.unreadable else 1
    folder = ca or options.beside(where) / options.CA_FOLDER
    pipeline.create_authority(validated, folder, datetime.now(UTC))
    sys.stdout.write(f"made the CA of {validated.mesh.trust_domain} in {findings.printable(str(folder))}\n")
    sys.stderr.write(
        "Who has these keys can be any service of the mesh: keep the folder out of git and backed up. "
        "root.key is needed for the next issuing CA only: keep it off this machine.\n"
    )
    return 0


def issue(
    spec: options.Spec = None,
    out: options.Build = Path("build"),
    ca: Authority = None,
    service: options.Services = None,
) -> int:
    """Issue the certificates that are missing or due into existing bundles.

    What is issued comes from the identity manifest of the build; the SPEC only says where the CA is.
    """
    from meshctl import pipeline

    folder = ca or options.default_authority(spec)
    issued = pipeline.issue_certificates(out, folder, datetime.now(UTC), tuple(service or ()))
    for each in issued:
        sys.stdout.write(f"* {each.state.what} of {each.holder} ({each.state})\n")
    lists = sum(not each.state.needs_certificate for each in issued)
    newer = f", newer revocation lists in {_bundles(lists)}" if lists else ""
    sys.stdout.write(f"{_count(len(issued) - lists)} issued{newer}\n")
    if issued:
        sys.stderr.write(_DEPLOY)
    return 0


def status(
    spec: options.Spec = None,
    out: options.Build = Path("build"),
    ca: Authority = None,
    service: options.Services = None,
    form: Annotated[Format, typer.Option("--format", help="How the certificates are printed.")] = Format.TEXT,
) -> int:
    """Say how every certificate is; exit code 1 when one needs issuing.

    With a CA at hand also whether it is the one that signed.
    """
    from meshctl import pipeline
    from meshctl.pki import renewal

    default = options.default_authority(spec)
    authority = ca or (default if default.is_dir() else None)
    now = datetime.now(UTC)
    found = pipeline.certificate_status(out, authority, now, tuple(service or ()))
    due = renewal.findings(found)
    faults = (*due, *(pipeline.ca_due(out, authority, now) if authority else ()))
    standing = pipeline.ca_standing(authority) if authority else None
    match form:
        case Format.TEXT:
            sys.stdout.write(_table(found, now))
            sys.stdout.write(rotate_ca.told(standing.rotation if standing else None))
            findings.show(faults, {}, "text", to=sys.stderr)
        case Format.JSON:
            sys.stdout.write(_json(found, standing))
    sys.stderr.write(f"{_count(len(found))}, {len(due)} to be issued\n")
    return int(bool(faults))


def revoke(
    who: Annotated[
        str, typer.Argument(metavar="WHO", help="A service, or the serial number of a certificate (hex).")
    ],
    spec: options.Spec = None,
    out: options.Build = Path("build"),
    ca: Authority = None,
) -> int:
    """Revoke all certificates of a service, or one, and put the new list into the bundles.

    Exit code 1 when the sidecars of the build do not look into such lists, 2 when there is no build.
    """
    from meshctl import pipeline
    from meshctl.catalogue import finding

    done = pipeline.revoke_certificates(out, ca or options.default_authority(spec), who, datetime.now(UTC))
    for each in done.certificates:
        known = (
            f"of {each.bundle}, until {options.moment(each.not_after)}"
            if each.bundle
            else "that this CA has no record of"
        )
        before = "" if each.serial in done.new else " (before)"
        sys.stdout.write(f"* certificate {each.serial:x} {known}{before}\n")
    into = (
        f"; new list in {_bundles(done.bundles)}, good until {options.moment(done.next_update)}"
        if done.checked
        else ""
    )
    sys.stdout.write(f"{_count(len(done.new))} revoked{into}\n")
    if done.checked is None:
        raise UsageError(
            f"there is no {pipeline.IDENTITIES} in {out}; run `meshctl build` first. "
            "The CA's list is written, and no bundle has it"
        )
    if done.checked:
        sys.stderr.write(
            _DEPLOY + "`meshctl certs issue` then makes new certificates in place of those revoked.\n"
        )
        return 0
    message = f"no sidecar in {findings.printable(str(out))} looks into revocation lists"
    findings.show((finding("revocation-unchecked", None, message),), {}, "text", to=sys.stderr)
    return 1


def _bundles(number: int) -> str:
    return f"{number} bundle{'' if number == 1 else 's'}"


def _count(number: int) -> str:
    return f"{number} certificate{'' if number == 1 else 's'}"


def _table(found: Sequence[CertificateStatus], now: datetime) -> str:
    width = max((len(str(each.holder)) for each in found), default=0)
    return "".join(f"{each.holder!s:{width}}  {_state(each):14}  {_end(each, now)}\n" for each in found)


def _state(status: CertificateStatus) -> str:
    revoked = status.state.value == "revoked"
    return "revoked (nobody checks)" if revoked and not status.checked else status.state.value


def _end(status: CertificateStatus, now: datetime) -> str:
    if status.not_after is None:
        return status.message
    listed = f", CRL {_until(status.next_update, now)}" if status.next_update else ""
    return f"{_until(status.not_after, now)}{listed}"


def _until(end: datetime, now: datetime) -> str:
    return f"{options.moment(end)} ({(end - now).days} d)"


def _json(found: Sequence[CertificateStatus], standing: pipeline.Standing | None) -> str:
    import orjson

    document = {
        "schemaVersion": SCHEMA_VERSION,
        "certificates": [
            {
                "bundle": str(each.holder),
                "service": each.holder.service,
                "instance": each.holder.instance,
                "spiffeId": each.holder.identity.spiffe_id,
                "state": each.state.value,
                "notAfter": options.moment(each.not_after) if each.not_after else None,
                "nextUpdate": options.moment(each.next_update) if each.next_update else None,
                "message": each.message,
            }
            for each in found
        ],
        **({"ca": _ca(standing)} if standing else {}),
        "summary": dict(sorted(Counter(each.state.value for each in found).items())),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _ca(standing: pipeline.Standing) -> dict[str, object]:
    under_way = standing.rotation
    return {
        "root": standing.root,
        "rootNotAfter": options.moment(standing.root_end),
        "issuingNotAfter": options.moment(standing.issuing_end),
        "rotation": under_way
        and {
            "step": under_way.step.value,
            "began": options.moment(under_way.began),
            "oldRoot": under_way.old,
            "newRoot": under_way.new,
        },
    }

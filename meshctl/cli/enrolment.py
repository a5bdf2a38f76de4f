"""`meshctl certs csr`, `sign`, `install` and `renew`: keys that never leave the host that uses them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options
from meshctl.cli.options import Authority
from meshctl.diagnostics import MeshctlError, UsageError

if TYPE_CHECKING:
    from meshctl.pipeline.enrolling import Signed
    from meshctl.pki.installing import Renewal
    from meshctl.pki.store import CertificateStatus

_MOST = 256 * 1024
"""Bytes of a request; a real one has some 600."""
RELOAD = "Reload the sidecar, as its README says.\n"

Bundle = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A sidecar's folder, as `meshctl build` wrote it.")
]
Bundles = Annotated[
    list[Path], typer.Argument(metavar="BUNDLE...", help="Sidecars' folders, as `meshctl build` wrote them.")
]
Trust = Annotated[
    Path | None,
    typer.Option(
        "--trust",
        metavar="FILE",
        help="The CA's root (PEM), for a bundle that has no tls/ca.pem, or another one.",
        show_default=False,
    ),
]


def csr(bundle: Bundles) -> int:
    """Where the sidecar runs: make its next key, and a request for its certificate.

    The key stays in the bundle, beside the one in use, until `certs install` brings its certificate.
    """
    from meshctl import pipeline

    for each in bundle:
        path, identities = pipeline.request_certificate(each)
        sys.stdout.write(f"{findings.printable(str(path))}\n")
        sys.stderr.write(
            f"It is for {identities.holders[0]}: have it signed, then `meshctl certs install`.\n"
        )
    return 0


def sign(
    request: Annotated[
        list[str], typer.Argument(metavar="CSR...", help="Requests; - for one on standard input.")
    ],
    who: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="SERVICE[/INSTANCE]",
            help="The bundle that it is for. Default: the one that the file is named after.",
            show_default=False,
        ),
    ] = None,
    out: options.Build = Path("build"),
    ca: Authority = None,
) -> int:
    """Where the CA is: sign requests for the identities of the build, whatever else they ask for.

    Answers are written beside the requests, as NAME.pem.
    """
    from meshctl import pipeline

    folder, now = ca or options.default_authority(None), datetime.now(UTC)
    if who is not None and len(request) > 1:
        raise UsageError("`--for` names the bundle of one request, and there are several")
    if "-" in request:
        if who is None or len(request) > 1:
            raise UsageError("a request on standard input needs `--for`, and comes alone")
        signed = pipeline.sign_request(sys.stdin.buffer.read(_MOST), who, out, folder, now)
        _warn("the request", signed)
        sys.stdout.write(signed.answer.decode())
        return 0
    answered = pipeline.sign_requests([Path(each) for each in request], who, out, folder, now)
    for name, each in zip(request, answered, strict=True):
        _warn(name, each)
        path = findings.printable(str(each.path))
        sys.stdout.write(f"* {path}: certificate of {each.holder}, until {options.moment(each.not_after)}\n")
    return 0


def install(
    bundle: Bundle,
    answer: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CHAIN]",
            help="The certificate and its issuers (PEM). Default: tls/request.pem.",
            show_default=False,
        ),
    ] = None,
    trust: Trust = None,
) -> int:
    """Where the sidecar runs: check the answer to its request, and put it in force with its key."""
    from meshctl import pipeline

    now = datetime.now(UTC)
    identities = pipeline.install_certificate(bundle, answer, trust, now)
    (status,) = pipeline.certificate_status(bundle, None, now)
    end = options.moment(status.not_after) if status.not_after else ""
    sys.stdout.write(f"* certificate of {identities.holders[0]} installed, until {end}\n")
    sys.stderr.write(RELOAD)
    return _show([status])


def renew(
    bundle: Bundles,
    command: Annotated[
        str | None,
        typer.Option(
            "--issuer-command",
            metavar="COMMAND",
            help="Gets the request on standard input, the names in MESHCTL_..., and prints the chain.",
            show_default=False,
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", help="Or the folder of the mesh's own CA.", show_default=False),
    ] = None,
    trust: Trust = None,
    force: Annotated[bool, typer.Option("--force", help="Also what is not due.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=3600, metavar="SECONDS", help="How long the command may take.")
    ] = 60,
) -> int:
    """Where the sidecar runs, on a schedule: get and install a certificate where it is missing or due.

    Each time with a new key. A bundle that fails does not keep the others from being renewed.
    """
    from meshctl import pipeline

    if (command is None) == (ca is None):
        raise UsageError("say who issues: either `--issuer-command COMMAND` or `--ca DIR`")
    code = 0
    for each in bundle:
        try:
            issuer = (
                pipeline.issuer_in(ca, each, _now())
                if ca is not None
                else pipeline.issuer_command(command or "", timedelta(seconds=timeout), os.environ)
            )
            done = pipeline.renew_certificate(each, issuer, trust, _now, always=force)
        except MeshctlError as error:
            code = max(code, findings.tell(error))
            continue
        code = max(code, _report(done))
    return code


def _now() -> datetime:
    return datetime.now(UTC)


def _report(done: Renewal) -> int:
    end = options.moment(done.after.not_after) if done.after.not_after else "?"
    if done.renewed:
        sys.stdout.write(f"* certificate of {done.after.holder} ({done.before.state}), until {end}\n")
        sys.stderr.write(RELOAD)
    else:
        sys.stdout.write(f"  certificate of {done.after.holder}: nothing to do until {end}\n")
    return _show([done.after])


def _show(statuses: list[CertificateStatus]) -> int:
    from meshctl.pki import renewal

    faults = renewal.findings(statuses)
    findings.show(faults, {}, to=sys.stderr)
    return int(bool(faults))


def _warn(name: str, signed: Signed) -> None:
    if signed.ignored:
        asked = findings.printable("; ".join(signed.ignored))
        sys.stderr.write(
            f"{findings.printable(name)} asks for more than {signed.holder} is, and did not get it: {asked}\n"
        )


COMMANDS: Mapping[str, Callable[..., int]] = {"csr": csr, "sign": sign, "install": install, "renew": renew}

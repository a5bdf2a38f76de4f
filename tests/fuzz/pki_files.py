"""Certificates, keys, lists and registers that somebody else wrote, in the places where ours are read."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from meshctl import pipeline
from meshctl.pki.authority import create_authority, save_authority
from tests.fuzz.chance import Chance
from tests.fuzz.judging import command
from tests.fuzz.seeds import ROOT

PIECES = (
    *(b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n", b"-----BEGIN PRIVATE KEY-----\n", b"-----BEGIN X509 CRL-----\n"),
    *(b"-----END X509 CRL-----\n", b"-----BEGIN CERTIFICATE REQUEST-----\n", b"MIIB", b"AAAA", b"\n", b"\0", b"\xff", b"=", b"", b"{}", b"[]"),
    *(b"null", b"1e999", b"-1", b'"', b"[" * 3000, b'{"a":' * 2000, b"99999999999999999999", b"../", b"9" * 5000, b"\xed\xa0\x80", b"/"),
)  # fmt: skip


@cache
def world() -> Path:
    """A mesh that is built, with a CA and all that it writes: what the changes begin with."""
    folder = Path(mkdtemp(prefix="meshctl-fuzz-"))
    spec = folder / "mesh.yaml"
    shutil.copy(ROOT / "tests/golden/certificate_revocation/mesh.yaml", spec)
    now = datetime.now(UTC)
    found = pipeline.validate(str(spec))
    save_authority(folder / "ca", create_authority(found.require().trust_domain, now))
    pipeline.build(found, folder / "build", now=now, authority=folder / "ca", verify="none")
    first = found.require().sidecars[0].service
    pipeline.revoke_certificates(folder / "build", folder / "ca", first, now)
    return folder


def read(chance: Chance, folder: Path) -> None:
    """Files changed, then a command that reads them."""
    source = world()
    shutil.copytree(source, folder, symlinks=True)
    files = sorted(
        each for each in folder.rglob("*") if each.is_file() and _is_read(each.relative_to(folder))
    )
    for _ in range(1 + chance.randrange(3)):
        _change(chance.choice(files), chance.choice(files), chance)
    build, authority = str(folder / "build"), str(folder / "ca")
    spec = str(folder / "mesh.yaml")
    arguments = chance.choice(
        (
            ["certs", "status", spec, "-o", build, "--ca", authority],
            ["certs", "status", spec, "-o", build, "--format", "json"],
            ["certs", "issue", spec, "-o", build, "--ca", authority],
            [
                "certs",
                "revoke",
                chance.choice(("web", "client", "server", "0", "ff", "x", "9" * 99)),
                spec,
                "-o",
                build,
                "--ca",
                authority,
            ],
        )
    )
    command(arguments, folder, folder, share=3, starts=("git",))


def _is_read(path: Path) -> bool:
    return path.parts[0] == "ca" or "tls" in path.parts or path.name == "identities.json"


def _change(path: Path, other: Path, chance: Chance) -> None:
    mode = path.stat().st_mode & 0o777
    content = bytearray(path.read_bytes())
    match chance.randrange(6):
        case 0:
            content = bytearray(other.read_bytes())
        case 1:
            content = bytearray(b"".join(chance.choice(PIECES) for _ in range(chance.randrange(6))))
        case 2:
            content = content[: chance.randrange(len(content) + 1)]
        case 3:
            content += other.read_bytes()
        case _:
            for _ in range(1 + chance.randrange(4)):
                where = chance.randrange(len(content) + 1)
                content[where : where + chance.randrange(3)] = chance.choice(
                    (*PIECES, bytes([chance.randrange(256)]))
                )
    path.unlink()
    path.write_bytes(content)
    path.chmod(chance.choice((mode, mode, mode, mode, 0o644)))

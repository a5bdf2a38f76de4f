"""`certs export` and `import`: recipients and keys that are none, encrypted files of anything, tars that lead elsewhere."""

from __future__ import annotations

import io
import tarfile
from functools import cache
from typing import TYPE_CHECKING, Any

import pyrage

from tests.fuzz import forged
from tests.fuzz.enrolment import World, put_in_force, run, world
from tests.fuzz.folders import disturb, state
from tests.fuzz.mutation import ODD
from tests.fuzz.pki_files import PIECES

if TYPE_CHECKING:
    from pathlib import Path

    from meshctl.pki.identities import Holder
    from tests.fuzz.chance import Chance

_NAMES = ("cert.pem", "cert.pem.key", "ca.pem", "crl.pem")
_ELSEWHERE = (
    "../cert.pem",
    "/etc/passwd",
    "tls/cert.pem",
    "./cert.pem",
    "cert.pem/x",
    "",
    "é",
    "\udcff",
    "a" * 300,
)
_KINDS = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"Z")  # fmt: skip
_FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
_HUGE = (8 << 30) - 1
"""Bytes: the most that fits in a plain header."""


@cache
def _identity() -> Any:
    return pyrage.x25519.Identity.generate()


@cache
def _stranger() -> Any:
    return pyrage.x25519.Identity.generate()


def carry(chance: Chance, folder: Path) -> None:
    """One of both commands."""
    there = world(folder)
    chance.choice((_export, _import, _import))(there, chance)


def _export(there: World, chance: Chance) -> None:
    if chance.once_in(3):
        _cert_manager(there, chance)
        return
    whom = [
        chance.choice((str(_identity().to_public()), str(_identity().to_public()), str(_identity()), "ssh-ed25519 AAAA", "ssh-rsa x y", "age1é", *ODD))
        for _ in range(1 + chance.randrange(2))
    ]  # fmt: skip
    to = chance.choice(("secrets", "secrets", "outside/kept", "outside", "secrets/deep"))
    holder = chance.choice(there.holders)
    (there.folder / "secrets").mkdir()
    if chance.once_in(3):
        disturb(there.folder / "secrets" / f"{holder.service}.age", there.folder, chance)
    if chance.once_in(3):
        disturb(chance.choice(sorted((there.bundle(holder) / "tls").iterdir())), there.folder, chance)
    words = [f"--recipient={each}".replace("\0", "") for each in whom]
    before = state(there.folder)
    code, told = run(there, ["certs", "export", "--format=age", *words, f"--to={there.folder / to}", "-o", str(there.folder / "build")])  # fmt: skip
    after = state(there.folder)
    made = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert all(name == to or name.startswith(f"{to}/") for name in made), made
    assert str(_identity()) not in told
    assert code == 0 or not any(name.endswith(".age") for name in made), made
    if code == 0 and whom == [str(_identity().to_public())]:
        for each in sorted(made):
            if each.endswith(".age"):
                assert b"PRIVATE KEY" in pyrage.decrypt((there.folder / each).read_bytes(), [_identity()])


def _cert_manager(there: World, chance: Chance) -> None:
    words = [f"--{option}={chance.choice(ODD)}".replace("\0", "") for option in ("issuer", "issuer-kind", "issuer-group", "namespace") if chance.once_in(2)]  # fmt: skip
    if chance.once_in(2):
        disturb(there.folder / "build/identities.json", there.folder, chance)
    before = state(there.folder)
    run(
        there,
        ["certs", "export", "--format=cert-manager", "--issuer=x", *words, "-o", str(there.folder / "build")],
    )
    assert state(there.folder) == before


def _import(there: World, chance: Chance) -> None:
    holder = chance.choice(there.holders)
    bundle = there.bundle(holder)
    file, identity = there.folder / "web.age", there.folder / "age.key"
    identity.write_bytes(
        f"# mine\n{chance.choice((_identity(), _identity(), _identity(), _stranger()))}\n".encode()
    )
    content = _archive(there, holder, chance)
    whom = [_identity().to_public()]
    encrypted: bytes = pyrage.encrypt(content, whom, armored=not chance.once_in(3))
    file.write_bytes(_broken(encrypted, chance) if chance.once_in(5) else encrypted)
    arguments, sound = [], True
    if chance.once_in(4):
        trust = there.folder / "trust.pem"
        trust.write_bytes(forged.trust(there.authority, chance))
        arguments = ["--trust", str(trust)]
    if chance.once_in(4):
        sound = False
        disturb(chance.choice((file, identity, bundle / "identity.json", *sorted((bundle / "tls").iterdir()))), there.folder, chance)  # fmt: skip
    before = state(there.folder)
    words = ["certs", "import", str(bundle), str(file), f"--identity={identity}", *arguments]
    _, told = run(there, words)
    assert str(_identity()) not in told
    put_in_force(there, holder, before, told, sound=sound, trusting=bool(arguments))


def _broken(encrypted: bytes, chance: Chance) -> bytes:
    changed = bytearray(encrypted)
    for _ in range(1 + chance.randrange(3)):
        where = chance.randrange(len(changed) + 1)
        changed[where : where + chance.randrange(40)] = chance.choice(PIECES)
    return bytes(changed)


def _archive(there: World, holder: Holder, chance: Chance) -> bytes:
    named = chance.choice((holder, holder, holder, *there.holders))
    tls = there.bundle(named) / "tls"
    contents = {name: (tls / name).read_bytes() for name in _NAMES}
    if chance.once_in(2):
        contents["cert.pem"] = forged.answer(named, forged.keys()["p256"], there.authority, chance)
        contents["cert.pem.key"] = forged.key_pem(
            chance.choice(("p256", "p256", "p256", *sorted(forged.keys())))
        )
    if chance.once_in(3):
        name = chance.choice(_NAMES)
        contents[name] = chance.choice((forged.changed(contents[name], chance), *PIECES))
    if chance.once_in(6):
        contents.pop(chance.choice(_NAMES))
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=chance.choice(_FORMATS), errors="surrogateescape"
    ) as archive:
        for name, content in contents.items():
            _add(archive, name, content, chance)
    made = out.getvalue()
    if chance.once_in(4):
        made = _broken(made[: chance.randrange(len(made))] if chance.once_in(3) else made, chance)
    return made


def _add(archive: tarfile.TarFile, name: str, content: bytes, chance: Chance) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    if chance.once_in(8):
        # A name that is too long has a header of its own, but not in every format.
        names = _ELSEWHERE[:-1] if archive.format == tarfile.USTAR_FORMAT else _ELSEWHERE
        member.name = chance.choice(names)
    if chance.once_in(8):
        member.type, member.linkname = chance.choice(_KINDS), chance.choice((*_ELSEWHERE[:-1], "cert.pem"))
    if chance.once_in(12):
        member.pax_headers = {chance.choice(("size", "path", "GNU.sparse.size", "GNU.sparse.realsize", "GNU.sparse.map", "hdrcharset")): chance.choice((str(_HUGE), "-1", "x", "0,9", "BINARY", "1e9"))}  # fmt: skip
    size = member.size
    if chance.once_in(12):
        member.size = chance.choice((_HUGE, 0, size + 4096))
    header = member.tobuf(archive.format, archive.encoding or "utf-8", archive.errors or "surrogateescape")
    assert archive.fileobj is not None
    archive.fileobj.write(header)
    archive.fileobj.write(content + b"\0" * (-size % tarfile.BLOCKSIZE))

"""`certs csr`, `sign`, `install` and `renew`, with an issuer, requests, manifests and folders that are not to be trusted.

Whatever comes in, nothing is written but in the bundle's ``tls`` folder (``sign``: beside the request, and the CA's own
files), and a certificate that is put in force has the bundle's names and its key, and leads to a root of its own.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from meshctl import pipeline
from meshctl.pki.authority import Authority, load_authority
from meshctl.pki.identities import Holder, parse_identities
from tests.fuzz import forged, pki_files
from tests.fuzz.chance import Chance
from tests.fuzz.folders import State, disturb, state
from tests.fuzz.judging import command
from tests.fuzz.mutation import ODD

CHAIN = ("cert.pem", "cert.pem.key", "ca.pem")
PROGRAMS = {
    "prints": 'cat "$0.out"',
    "hangs": "sleep 60",
    "hangs, with its children": "sleep 60 & cat >/dev/null; wait",
    "fails": 'cat "$0.out" >&2; exit 3',
    "never ends": "yes",
    "kills itself": "kill -9 $$",
    "is deaf": "exec <&-; echo no",
}
HANGS = 0.15
"""Seconds that a program may take here: most answer in some milliseconds."""


@dataclass(frozen=True)
class World:
    """A folder that may be changed, and what was in it before anybody did."""

    folder: Path
    holders: tuple[Holder, ...]
    authority: Authority

    def bundle(self, holder: Holder) -> Path:
        return self.folder.joinpath("build", *holder.folder)


@cache
def _source() -> tuple[Path, tuple[Holder, ...], Authority]:
    """What the world of `pki_files` has, and a request that waits in every bundle."""
    folder = Path(shutil.copytree(pki_files.world(), f"{pki_files.world()}-enrolment", symlinks=True))
    holders = parse_identities((folder / "build/identities.json").read_bytes()).holders
    for each in holders:
        path, _ = pipeline.request_certificate(folder.joinpath("build", *each.folder))
        shutil.copy(path, folder / f"{each.service}.csr")
    for number, program in enumerate(PROGRAMS.values()):
        (folder / f"issuer-{number}").write_text(f"#!/bin/sh\n{program}\n", "utf-8")
        (folder / f"issuer-{number}").chmod(0o755)
    (folder / "outside").mkdir()
    (folder / "outside/kept").write_bytes(b"x")
    return folder, holders, load_authority(folder / "ca")


def world(folder: Path) -> World:
    """A copy of it."""
    source, holders, authority = _source()
    shutil.copytree(source, folder, symlinks=True)
    return World(folder, holders, dataclasses.replace(authority, folder=folder / "ca"))


def enrol(chance: Chance, folder: Path) -> None:
    """One of the four commands, with whatever it reads changed."""
    there = world(folder)
    chance.choice((_csr, _sign, _sign, _install, _install, _install, _renew, _renew))(there, chance)


def _csr(there: World, chance: Chance) -> None:
    holder = chance.choice(there.holders)
    bundle = there.bundle(holder)
    for _ in range(1 + chance.randrange(2)):
        disturb(chance.choice((bundle / "identity.json", *_files(bundle))), there.folder, chance)
    before = state(there.folder)
    code, _ = run(there, ["certs", "csr", str(bundle)])
    after = state(there.folder)
    _changed_only(before, after, _below(there, bundle / "tls"))
    for name in CHAIN:
        assert before.get(_name(there, bundle / "tls" / name)) == after.get(
            _name(there, bundle / "tls" / name)
        ), name
    if code == 0:
        asked = x509.load_pem_x509_csr((bundle / "tls/request.csr").read_bytes())
        assert asked.public_key() == _private(bundle / "tls/request.key").public_key()


def _sign(there: World, chance: Chance) -> None:
    holder, named = chance.choice(there.holders), chance.choice(there.holders)
    source = there.folder / f"{holder.service}.csr"
    key = _private(there.bundle(holder) / "tls/request.key")
    if chance.randrange(8):
        source.write_bytes(forged.request(named, key, chance))
    text = source.read_bytes()
    sound = not chance.once_in(3)
    if not sound:
        disturb(chance.choice((source, there.folder / "build/identities.json", *_files(there.folder / "ca"))), there.folder, chance)  # fmt: skip
    arguments = ["certs", "sign", "--ca", str(there.folder / "ca"), "-o", str(there.folder / "build")]
    who = chance.choice(ODD).replace("\0", "") if chance.once_in(10) else str(named)
    arguments += [f"--for={who}"] if chance.once_in(2) else []
    piped = len(arguments) > 6 and chance.once_in(3)
    before = state(there.folder)
    with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(text))):
        code, told = run(there, [*arguments, "-" if piped else str(source)])
    after = state(there.folder)
    answer = f"{holder.service}.pem"
    _changed_only(before, after, lambda name: name.startswith("ca/") or (name == answer and not piped))
    if code == 0 and sound:
        expected = named if len(arguments) > 6 else holder
        pem = told.encode() if piped else (there.folder / answer).read_bytes()
        leaf = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN") :])
        assert leaf.public_key() == x509.load_pem_x509_csr(text).public_key()
        _fits(leaf, expected)
        leaf.verify_directly_issued_by(there.authority.issuing)
    assert code == 0 or answer not in after or before.get(answer) == after[answer]


def _install(there: World, chance: Chance) -> None:
    holder = chance.choice(there.holders)
    bundle = there.bundle(holder)
    key = _private(bundle / "tls/request.key")
    answer, named = bundle / "tls/request.pem", chance.choice((holder, holder, holder, *there.holders))
    answer.write_bytes(forged.answer(named, key, there.authority, chance))
    arguments, sound = [], True
    if chance.once_in(4):
        arguments = ["--trust", str(_trust(there, chance))]
    if chance.once_in(4):
        (bundle / "tls/ca.pem").unlink()
    if chance.once_in(3):
        sound = False
        disturb(chance.choice((answer, bundle / "identity.json", *_files(bundle))), there.folder, chance)
    before = state(there.folder)
    code, told = run(there, ["certs", "install", str(bundle), *arguments])
    put_in_force(there, holder, before, told, sound=sound, trusting=bool(arguments))
    assert code != 0 or "* certificate" in told


def _trust(there: World, chance: Chance) -> Path:
    path = there.folder / "trust.pem"
    path.write_bytes(forged.trust(there.authority, chance))
    return path


class _Forging:
    """An issuer that answers what chance has it answer."""

    def __init__(self, there: World, named: Holder, chance: Chance) -> None:
        self.there, self.named, self.chance = there, named, chance
        self.trust_pem: bytes | None = None

    def issue(self, _holder: Holder, request: bytes, _lifetime: object) -> bytes:
        key = x509.load_pem_x509_csr(request)
        return forged.answer(self.named, key, self.there.authority, self.chance)


def _renew(there: World, chance: Chance) -> None:
    holder = chance.choice(there.holders)
    bundle = there.bundle(holder)
    arguments, sound = ["--force"] if chance.randrange(4) else [], True
    if chance.once_in(4):
        arguments += ["--trust", str(_trust(there, chance))]
    if chance.once_in(3):
        sound = False
        disturb(chance.choice((bundle / "identity.json", *_files(bundle))), there.folder, chance)
    before = state(there.folder)
    trusting = "--trust" in arguments
    match chance.randrange(4):
        case 0:
            code, told = run(
                there, ["certs", "renew", str(bundle), "--ca", str(there.folder / "ca"), *arguments]
            )
        case 1:
            code, told = run(there, [*_by_program(there, bundle, chance), *arguments])
            before = {name: each for name, each in before.items() if not name.startswith("issuer")}
        case _:
            named = chance.choice((holder, holder, holder, *there.holders))
            with mock.patch.object(pipeline, "issuer_command", return_value=_Forging(there, named, chance)):
                code, told = run(there, ["certs", "renew", str(bundle), "--issuer-command", "x", *arguments])
    put_in_force(there, holder, before, told, sound=sound, trusting=trusting)
    assert code != 0 or "certificate of" in told


def _by_program(there: World, bundle: Path, chance: Chance) -> list[str]:
    number = chance.choice((0, 0, 0, 0, *range(len(PROGRAMS))))
    program = there.folder / f"issuer-{number}"
    printed = chance.choice((*pki_files.PIECES, (there.folder / "ca/root.pem").read_bytes(), b"\x1b[2J\x07", b"-----BEGIN PRIVATE KEY-----\nM\n"))  # fmt: skip
    Path(f"{program}.out").write_bytes(printed * chance.choice((1, 1, 50)))
    line = f"'{program}'"
    if chance.once_in(8):
        line = chance.choice(("'", "", "/nonexistent", "''", "\\", f"{there.folder}", "a\nb"))
    return ["certs", "renew", str(bundle), f"--issuer-command={line}", f"--timeout={HANGS}"]


def put_in_force(
    there: World, holder: Holder, before: State, told: str, *, sound: bool, trusting: bool
) -> None:
    """What `install` and `renew` leave: a certificate that fits, or what was there."""
    bundle = there.bundle(holder)
    after = {name: each for name, each in state(there.folder).items() if not name.startswith("issuer")}
    before = {name: each for name, each in before.items() if not name.startswith("issuer")}
    _changed_only(before, after, lambda name: _below(there, bundle / "tls")(name) or name.startswith("ca/"))
    if "* certificate of" not in told:
        kept = {name for name in before if not name.startswith("ca/") and not name.endswith(".tmp")}
        assert {name: before[name] for name in kept} == {name: after.get(name) for name in kept}, told
        return
    key = bundle / "tls/cert.pem.key"
    assert key.stat().st_mode & 0o777 == 0o600
    leaf, *chain = x509.load_pem_x509_certificates((bundle / "tls/cert.pem").read_bytes())
    assert leaf.public_key() == _private(key).public_key()
    roots = x509.load_pem_x509_certificates((bundle / "tls/ca.pem").read_bytes())
    path = [leaf, *chain]
    for one, issuer in itertools.pairwise(path):
        one.verify_directly_issued_by(issuer)
    assert any(each.subject == path[-1].issuer for each in roots)
    if sound:
        _fits(leaf, holder)
        name = _name(there, bundle / "tls/ca.pem")
        assert trusting or name not in before or before[name] == after[name]


def _fits(leaf: x509.Certificate, holder: Holder) -> None:
    identity = holder.identity
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [identity.spiffe_id]
    assert sorted(names.get_values_for_type(x509.DNSName)) == sorted(identity.dns_names)
    assert len(list(names)) == 1 + len(identity.dns_names)
    assert leaf.subject.rfc4514_string() == identity.distinguished_name


def run(there: World, arguments: list[str]) -> tuple[int, str]:
    starts = tuple(str(there.folder / f"issuer-{number}") for number in range(len(PROGRAMS)))
    strange = ("/nonexistent", "", str(there.folder), "a", "\\")
    return command(arguments, there.folder, there.folder, share=4, starts=("git", *starts, *strange))


def _private(path: Path):
    return serialization.load_pem_private_key(path.read_bytes(), None)


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if "tls" in each.parts or folder.name == "ca")


def _name(there: World, path: Path) -> str:
    return os.path.relpath(path, there.folder)


def _below(there: World, folder: Path) -> Callable[[str], bool]:
    return lambda name: name == _name(there, folder) or name.startswith(f"{_name(there, folder)}/")


def _changed_only(before: State, after: State, allowed: Callable[[str], bool]) -> None:
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    strays = sorted(each for each in changed if not allowed(each))
    assert not strays, strays

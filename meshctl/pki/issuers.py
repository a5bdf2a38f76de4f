"""Who turns signing requests into certificates: one interface, and all that stand behind it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, Protocol

from meshctl.diagnostics import ToolError
from meshctl.pki import files, profile, register, requests
from meshctl.pki.authority import Authority
from meshctl.pki.identities import Holder
from meshctl.pki.issue import certify

LAST_WORDS = 2000
"""Bytes of a command's error output that an error repeats."""
_SECRETS = (b"PRIVATE KEY-----", b"AGE-SECRET-KEY-")
_SEARCHED = 64 * 1024
"""Bytes of it in which secrets are looked for: what is repeated may be the middle of one."""


class Issuer(Protocol):
    """Gets a key's signing request and a name, returns a certificate."""

    @property
    def trust_pem(self) -> bytes | None:
        """Its roots, for a bundle that has none yet; None where somebody else has to say which they are."""
        ...

    def issue(self, holder: Holder, request: bytes, lifetime: timedelta) -> bytes:
        """PEM: the leaf, its issuers, and revocation lists where there are any. Not to be trusted before
        ``acceptance.check``.

        Raises what its kind raises, all of it MeshctlError, when there is no certificate to be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """The mesh's own CA, at one moment (UTC)."""

    authority: Authority
    now: datetime
    crl: bool
    """Whether sidecars look into revocation lists, so that these go with the certificate."""

    @property
    def trust_pem(self) -> bytes | None:
        """The CA's root, in a rotation both."""
        return self.authority.trust_pem

    def issue(self, holder: Holder, request: bytes, lifetime: timedelta) -> bytes:
        """As the manifest has it, whatever the request asks for.

        Raises UsageError, RequestError, IssuerEndsFirstError, RegisterError and OSError.
        """
        authority = self.authority
        key = requests.parse(request, "the request", holder.identity).key
        leaf = certify(authority, holder.identity, key, lifetime, self.now)
        # Without lists a register would say that they were lost.
        if authority.folder and authority.crl_pem:
            entry = register.Entry(leaf.serial_number, holder.service, str(holder), leaf.not_valid_after_utc)
            register.record(authority.folder, [entry], self.now)
        chain = profile.pem(leaf) + authority.issuing_pem
        if not self.crl:
            return chain
        # Lists are checked with the certificates of their CAs, and in a rotation there is another CA.
        other = authority.beside
        return chain + (other.issuing_pem + other.root_pem if other else b"") + authority.lists_pem


@dataclass(frozen=True, slots=True)
class Command:
    """Any program: the request on its standard input, the names in its environment, PEM on its standard output."""

    argv: tuple[str, ...]
    timeout: timedelta
    environment: Mapping[str, str] = field(repr=False)
    """What it gets beside the names: they are this process's, and may hold a token."""

    @property
    def trust_pem(self) -> bytes | None:
        """A program that could say whom to trust could say anything."""
        return None

    def issue(self, holder: Holder, request: bytes, lifetime: timedelta) -> bytes:
        """What it printed. Raises ToolError when it cannot be started, fails, takes too long or prints too much."""
        environment = {**self.environment, **names(holder, lifetime)}
        with contextlib.ExitStack() as stack:
            # Files, not pipes: a program that never reads, or never stops writing, blocks nobody.
            streams = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
            given, out, err = streams
            given.write(request)
            given.seek(0)
            code = self._run(streams, environment)
            told = _tail(err)
            if code is None:
                raise ToolError(
                    f"the issuer command took more than {self.timeout.total_seconds():g} s for `{holder}`{told}"
                )
            if code:
                raise ToolError(f"the issuer command ended with {code} for `{holder}`{told}")
            if out.seek(0, os.SEEK_END) > files.LIMIT:
                raise ToolError(f"the issuer command printed more than {files.LIMIT} bytes for `{holder}`")
            out.seek(0)
            return out.read()

    def _run(self, streams: Sequence[IO[bytes]], environment: Mapping[str, str]) -> int | None:
        given, out, err = streams
        try:
            process = subprocess.Popen(
                self.argv, stdin=given, stdout=out, stderr=err, env=environment, start_new_session=True
            )
        except (OSError, ValueError) as error:
            raise ToolError(f"cannot start the issuer command: {error}") from error
        try:
            return process.wait(self.timeout.total_seconds())
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                # The whole session: a script waits for what it started.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def names(holder: Holder, lifetime: timedelta) -> dict[str, str]:
    """What an issuer command finds in its environment."""
    identity = holder.identity
    return {
        "MESHCTL_SERVICE": holder.service,
        "MESHCTL_INSTANCE": holder.instance,
        "MESHCTL_TRUST_DOMAIN": identity.trust_domain,
        "MESHCTL_SPIFFE_ID": identity.spiffe_id,
        "MESHCTL_DNS_NAMES": " ".join(identity.dns_names),
        "MESHCTL_SUBJECT": identity.distinguished_name,
        "MESHCTL_LIFETIME_SECONDS": str(int(lifetime.total_seconds())),
    }


def _tail(err: IO[bytes]) -> str:
    size = err.seek(0, os.SEEK_END)
    err.seek(max(0, size - _SEARCHED))
    last = err.read(_SEARCHED)
    if any(each in last for each in _SECRETS):
        return ": its error output holds a private key, and is not repeated"
    words = last[-LAST_WORDS:].decode("utf-8", "replace").strip()
    return f":\n{words}" if words else ""

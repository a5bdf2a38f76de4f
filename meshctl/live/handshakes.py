"""What a running sidecar shows in a handshake, and whether it takes the certificate that it is shown."""

from __future__ import annotations

import socket
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from meshctl.ir import SocketAddress

PATIENCE = timedelta(seconds=5)
"""For a connection, each way of its handshake, and an answer."""
SILENCE = timedelta(seconds=1)
"""Who speaks no HTTP has not refused a certificate when nothing came for this long after the handshake."""

# Refused by every sidecar before its application could see it, but only to whom it knows.
_REQUEST = b"GET // HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Probe:
    """A client's certificate, as PEM, and whom it asks for; ``roots`` is whom it trusts."""

    server_name: str
    roots: bytes
    chain: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """The sidecar's own certificate (DER), and why it did not take the client's; empty where it did."""

    certificate: bytes
    refused: str


def shake_hands(where: SocketAddress, probe: Probe, *, http: bool) -> Shown:
    """Connect, and see whether the sidecar talks to us. Without ``http`` nothing is sent, for an application would get it.

    Raises OSError, which is also what there is of a certificate that leads to none of the roots.
    """
    context = _context(probe)
    with socket.create_connection((where.address, where.port), PATIENCE.total_seconds()) as connection:
        try:
            stream = context.wrap_socket(connection, server_hostname=probe.server_name)
        except ssl.SSLCertVerificationError:
            raise
        except ssl.SSLError as error:
            # With TLS 1.2 a client is refused within the handshake.
            return Shown(b"", error.reason or "the handshake failed")
        with stream:
            return Shown(stream.getpeercert(binary_form=True) or b"", _refusal(stream, probe, http=http))


def _refusal(stream: ssl.SSLSocket, probe: Probe, *, http: bool) -> str:
    try:
        if http:
            stream.sendall(_REQUEST % probe.server_name.encode())
            return "" if stream.recv(16).startswith(b"HTTP/") else "closed without an answer"
        stream.settimeout(SILENCE.total_seconds())
        return "" if stream.recv(1) else "closed at once"
    except TimeoutError:
        return "no answer" if http else ""
    except ssl.SSLError as error:
        return error.reason or "closed"
    except OSError as error:
        return error.strerror or "closed"


def _context(probe: Probe) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=probe.roots.decode())
    with tempfile.TemporaryDirectory(prefix="meshctl-") as folder:
        # OpenSSL reads a client's key from a file only. The folder is our own (0700), and gone with this block.

        both = Path(folder) / "client.pem"
        both.touch(mode=0o600)
        both.write_bytes(probe.key + probe.chain)
        context.load_cert_chain(both)
    return context

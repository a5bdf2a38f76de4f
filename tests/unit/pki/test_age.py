"""Encrypted files of somebody else's: whoever has the recipient can make one of anything."""

from __future__ import annotations

import io
import tarfile

import pyrage
import pytest

from meshctl.diagnostics import UsageError
from meshctl.pki import age

IDENTITY = pyrage.x25519.Identity.generate()
MANY = 3000


def archive(headers: dict[str, str], *, nested: int = 0) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as opened:
        for name in ("cert.pem.key", "ca.pem", "cert.pem"):
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = 512, headers
            header = member.tobuf(tarfile.PAX_FORMAT)
            out.write(header[: tarfile.BLOCKSIZE * 2] * nested + header + b"1\n10\n" + b"0" * 507)
        opened.offset = out.tell()
    return out.getvalue()


@pytest.mark.parametrize(
    ("headers", "nested"),
    [
        ({"size": "x"}, 0),
        ({"size": "-1"}, 0),
        ({"size": "9" * 5000}, 0),
        ({"GNU.sparse.size": "x"}, 0),
        ({"GNU.sparse.map": "0,9", "GNU.sparse.size": str(1 << 44)}, 0),
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 44)}, 0),
        ({"path": "cert.pem"}, MANY),
    ],
)
def test_a_tar_that_leads_its_reader_astray_is_refused(headers, nested):
    encrypted = pyrage.encrypt(archive(headers, nested=nested), [IDENTITY.to_public()])
    with pytest.raises(UsageError, match="does not hold the secrets"):
        age.decrypt(encrypted, [IDENTITY], "web.age")


def test_a_plain_one_is_taken():
    encrypted = pyrage.encrypt(archive({}), [IDENTITY.to_public()])
    assert len(age.decrypt(encrypted, [IDENTITY], "web.age").chain_pem) == 512

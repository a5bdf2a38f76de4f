"""Blocks of PEM in what somebody sent."""

from __future__ import annotations

import time

import pytest

from meshctl.pki import crl, files
from meshctl.pki.pem import blocks

A = b"-----BEGIN A-----\nAAAA\n-----END A-----\n"
B = b"-----BEGIN X509 CRL-----\nBBBB\n-----END X509 CRL-----"


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        (b"", []),
        (A + B, [b"A", b"X509 CRL"]),
        (b"words\n" + A + b"words\n" + A, [b"A", b"A"]),
        (B + B, [b"X509 CRL", b"X509 CRL"]),
        (b"-----BEGIN A-----\n" + B, [b"X509 CRL"]),
        (b"-----END A-----\n" + A, [b"A"]),
        (b"-----BEGIN A-----\n" + B + b"-----END A-----\n", [b"X509 CRL"]),
        (b"-----BEGIN A-----\n-----END B-----\n", []),
    ],
)
def test_each_block_is_found(content, kinds):
    assert [kind for kind, _ in blocks(content)] == kinds


def test_a_block_is_its_own_text():
    assert [text for _, text in blocks(b"x" + A + b"y" + B)] == [A, B]


@pytest.mark.parametrize("kind", [b"A", b"X509 CRL"])
def test_beginnings_alone_take_no_time(kind):
    """It took minutes: each looked for its end in all that follows."""
    line = b"-----BEGIN " + kind + b"-----\n"
    content = line * (4 * files.LIMIT // len(line))
    began = time.process_time()
    assert list(blocks(content)) == []
    with pytest.raises(ValueError, match="not a file"):
        crl.parse(content)
    assert time.process_time() - began < 2

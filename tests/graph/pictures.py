"""The pictures in docs, taken anew: `python -m tests.graph.pictures`. Look at them before you commit them."""

from __future__ import annotations

import struct
import tempfile
import zlib
from datetime import date
from pathlib import Path

from meshctl import pipeline
from meshctl.pipeline import Picture
from tests.graph.browser import Page, browser
from tests.graph.large import mesh

DOCS = Path(__file__).resolve().parents[2] / "docs"


def packed(png: bytes) -> bytes:
    """The same picture, with its pixels packed as tightly as may be; browsers are in a hurry."""
    parts, pixels, at = [png[:8]], b"", 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        chunk = png[at : at + 12 + length]
        at += len(chunk)
        if chunk[4:8] == b"IDAT":
            pixels += chunk[8:-4]
        elif chunk[4:8] == b"IEND":
            body = b"IDAT" + zlib.compress(zlib.decompress(pixels), 9)
            parts += [struct.pack(">I", len(body) - 4), body, struct.pack(">I", zlib.crc32(body)), chunk]
        else:
            parts.append(chunk)
    return b"".join(parts)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "company.yaml").write_text(mesh(500), "utf-8")
        with browser(folder) as page:
            _shop(page, folder)
            _large(page, folder)


def _open(page: Page, folder: Path, location: str, *, dark: bool) -> None:
    found = pipeline.graph(location, today=date(2026, 11, 22))
    (folder / "page.html").write_text(pipeline.draw(found, Picture.HTML), "utf-8")
    page.open(folder / "page.html", 1200, 640, dark=dark)


def _shop(page: Page, folder: Path) -> None:
    _open(page, folder, "examples/shop", dark=False)
    page.click("#node-1")
    (DOCS / "graph-shop.png").write_bytes(packed(page.picture()))


def _large(page: Page, folder: Path) -> None:
    _open(page, folder, str(folder / "company.yaml"), dark=True)
    (DOCS / "graph-500.png").write_bytes(packed(page.picture()))


if __name__ == "__main__":
    main()

"""`drift` of folders that anybody may have changed, and of whatever answers where a sidecar should."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from unittest import mock

from meshctl.cli.app import run
from meshctl.live import builds
from tests.fuzz import applying
from tests.fuzz.chance import Chance
from tests.fuzz.folders import disturb, state
from tests.fuzz.judging import command
from tests.fuzz.mutation import ODD

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, bind: endpoint, proxy: nginx}
services:
  web: {port: 80, endpoints: [{address: 127.89.5.1}], calls: {stock: {}}}
  stock: {port: 80, endpoints: [{address: 127.89.5.2}], proxy: haproxy}
"""
_PATIENCE = timedelta(seconds=0.05)


@cache
def _source() -> Path:
    root = Path(mkdtemp(prefix="meshctl-fuzz-"))
    (root / "mesh.yaml").write_text(SPEC, "utf-8")
    (root / "outside").mkdir()
    (root / "outside/kept").write_bytes(b"x")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert run(["build", str(root / "mesh.yaml"), "-o", str(root / "build"), "--verify", "none"]) == 0
    return root


def look(chance: Chance, folder: Path) -> None:
    """Nothing changes, and what was changed in a listed file is told."""
    shutil.copytree(_source(), folder, symlinks=True)
    root = folder / "build"
    clean = True
    for _ in range(chance.randrange(4)):
        clean = False
        _change(root, folder, chance)
    edited = _edited(root, chance) if clean and chance.once_in(2) else ""
    words = ["drift", f"--format={chance.choice(('text', 'json'))}"]
    live = chance.once_in(2)
    if not live or chance.once_in(2):
        words.append(f"--bundle={chance.choice((root, root, root, root / 'web', root / 'web/127.89.5.1'))}")
    words += ["--live"] if live else []
    bare = not live and chance.once_in(4)
    words += ["--no-spec"] if bare else [str(folder / "mesh.yaml")]
    if chance.once_in(6):
        words.append(f"--only={chance.choice((*ODD, 'web', 'stock', 'web/127.89.5.1'))}".replace("\0", ""))
    before = state(folder)
    with _answered(root, chance):
        code, told = command(words, folder, share=3, errors_apart=True)
    assert state(folder) == before
    assert "Usage:" not in told
    if words[1] == "--format=json" and told:
        document = json.loads(told)
        assert document["drifted"] == (code == 1)
        assert bool(document["findings"]) == (code != 0)
    whole = not live and f"--bundle={root}" in words and not any(each.startswith("--only") for each in words)
    if whole and clean:
        assert code == bool(edited), (code, edited, words)
        assert edited in told, (edited, told)


def _change(root: Path, folder: Path, chance: Chance) -> None:
    where = root / "manifest.json"
    if chance.once_in(3) and where.is_file() and not where.is_symlink():
        where.write_bytes(applying.document(where.read_bytes(), chance))
    else:
        paths = sorted(root.rglob("*"))
        disturb(chance.choice(paths or [root]), folder, chance)


def _edited(root: Path, chance: Chance) -> str:
    """A listed file with a byte more, less, or another; its path."""
    path: str = chance.choice(sorted(json.loads((root / "manifest.json").read_bytes())["files"]))
    content = (root / path).read_bytes()
    at = chance.randrange(len(content))
    between = bytes([content[at] ^ 1]) if chance.once_in(2) else b""
    mode = (root / path).stat().st_mode
    (root / path).unlink()
    (root / path).write_bytes(content[:at] + between + content[at + 1 :])
    (root / path).chmod(mode)
    return path


@contextlib.contextmanager
def _answered(root: Path, chance: Chance) -> Iterator[None]:
    """Each address that is asked answers what chance has it answer, or nothing, or is not there."""

    async def connected(_host: str, _port: int, **_: object) -> tuple[asyncio.StreamReader, mock.MagicMock]:
        if chance.once_in(8):
            raise chance.choice((ConnectionRefusedError(), OSError(113, "no route \x1b[2J")))
        reader = asyncio.StreamReader(limit=1 << 16)
        reader.feed_data(_answer(root, chance))
        if not chance.once_in(8):
            reader.feed_eof()
        return reader, mock.MagicMock()

    ask = builds.ask
    with (
        mock.patch.object(asyncio, "open_connection", connected),
        mock.patch.object(builds, "ask", lambda addresses: ask(addresses, _PATIENCE)),
    ):
        yield


_HEADERS = (
    *(b"Content-Length: 0", b"Content-Length: -1", b"Content-Length: 99999999999", b"Content-Length: x", b"content-length: 5"),
    *(b"Transfer-Encoding: chunked", b"Server: \x1b[2J\xff", b"Server: " + b"x" * 70000, b"no colon", b": x", b" folded", b"Server:\x85x"),
    *(b"Content-Encoding: gzip", b"Connection: keep-alive", b"Server: a\r\n\tb", b"X: y\0", b"Server: =?utf-8?b?G1s=?="),
)  # fmt: skip
_STATUS = (
    *(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.0 200", b"HTTP/1.1 204 x", b"HTTP/1.1 100 Continue"),
    *(b"HTTP/1.1 503 no", b"HTTP/2 200", b"HTTP/1.1 99999 x", b"HTTP/1.1 -1 x", b"SSH-2.0-x", b"", b"\x16\x03\x01\x02", b"x" * 70000),
)  # fmt: skip


def _answer(root: Path, chance: Chance) -> bytes:
    body = json.dumps(_named(root, chance)).encode()
    if chance.once_in(3):
        body = chance.choice((b"", b"null", b"[" * 60000, b"\xff", b'{"build": 1}', b"x" * 70000, body[: chance.randrange(len(body))], body * 2))  # fmt: skip
    headers = [chance.choice(_HEADERS) for _ in range(chance.randrange(4))]
    if chance.once_in(3):
        headers *= chance.choice((1, 40))
    chunked = b"Transfer-Encoding: chunked" in headers
    if chunked:
        size = chance.choice((b"%x" % len(body), b"%x" % len(body), b"-5", b"", b"f" * 20, b"0", b"x"))
        body = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    answer = b"\r\n".join((chance.choice(_STATUS), *headers, b"", body))
    if chance.once_in(6):
        answer = answer.replace(b"\r\n", b"\n")
    if chance.once_in(6):
        answer = answer[: chance.randrange(len(answer) + 1)]
    return answer


def _named(root: Path, chance: Chance) -> Mapping[str, object]:
    """What a sidecar says of itself, with something in it that none says."""
    try:
        entries = json.loads((root / "manifest.json").read_bytes())["builds"]
        name, entry = chance.choice(sorted(entries.items()))
        service, _, instance = name.partition("/")
        said = {"mesh": "shop", "service": service, "instance": instance, "proxy": entry["proxy"], "build": entry["build"]}  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        said = {"mesh": "shop", "service": "web", "instance": "", "proxy": "nginx", "build": "sha256:" + "0" * 64}  # fmt: skip
    if chance.once_in(2):
        value: object = chance.choice((*(each for each in ODD if not re.search("[\ud800-\udfff]", each)), None, 1, [], {}, "x" * 5000))  # fmt: skip
        said[chance.choice(sorted(said))] = value
    return said

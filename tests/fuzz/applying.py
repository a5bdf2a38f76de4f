"""`apply` with bundles, targets and journals that are not to be trusted, disks that fail, and sidecars that do as they like.

Whatever it meets, the files of a bundle are those of before, or all those of the new build; nothing beside the target changes, and a
key is its owner's alone.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest import mock

from meshctl import manifest
from meshctl.cli.app import run
from meshctl.diagnostics import MeshctlError
from meshctl.inspection import beginning
from meshctl.live import disk, verify
from meshctl.live.releases import Place
from meshctl.live.reloading import Ended
from meshctl.pipeline import admitting, exchanging, rolling_out
from tests.cli import applied
from tests.fuzz.chance import Chance
from tests.fuzz.folders import disturb, state
from tests.fuzz.judging import command
from tests.fuzz.seeds import Node, walk

BUNDLE = applied.FOLDER
Files = dict[str, bytes]
_ODD: tuple[Node, ...] = (
    *(None, True, 0, -1, "", "x", "\u202e\x1b[2J", "x" * 5000, [], {}, [[]], {"a": 1}, "../outside", "/", "web", "envoy", "nginx"),
    *("web/../../outside/kept", "../../outside/kept", "tls/cert.pem.key", ".releases/current", "web/.releases/good", "web/tls/x", "."),
    *("sha256:" + "0" * 64, "127.0.0.1:0", "::1", "0" * 64, "release.json", "envoy/run", "a/b/c", "é", "run/x", "web/envoy/build/x"),
)  # fmt: skip
_LEADS = (".", "..", "../..", "../../outside", "gone", "good", "current", "/", "../tls", "x" * 200)


@dataclass
class Sidecar:
    """One that is said to run; what it does with a build is decided by chance, or as it should be."""

    folder: Path
    serves: str | None
    chance: Chance | None = None

    def running(self, folder: Path, _pid_file: str) -> int | None:
        return os.getpid() if self.serves is not None and folder == self.folder else None

    def reload(self, folder: Path, *words: str) -> Ended:
        mood = self.chance.randrange(8) if self.chance else 7
        if mood < 2:
            return Ended(1 + mood, "\x1b[2Jno")
        if not words and mood == 2:
            self.serves = "sha256:somebody-else"
        elif not words and mood == 3:
            self.serves = None
        elif not words:
            try:
                self.serves = beginning(folder / "build", 1000).decode("utf-8", "replace")
            except OSError:
                return Ended(1, "no build")
        return Ended(0, "")

    def start(self, *_: object) -> Ended:
        return self.reload(self.folder)

    def served(self, *_: object) -> str:
        return self.serves or ""

    def awaited(self, _admin: object, build: str, _limit: object) -> bool:
        return self.serves == build

    @contextlib.contextmanager
    def there(self) -> Iterator[None]:
        """Whatever asks for a sidecar meets this one."""
        with contextlib.ExitStack() as stack:
            for module, name, own in (
                *((each, "running", self.running) for each in (admitting, exchanging)),
                *((each, "reload", self.reload) for each in (admitting, exchanging)),
                *((each, "served", self.served) for each in (rolling_out, exchanging)),
                (exchanging, "await_build", self.awaited),
                (exchanging, "command", self.start),
                (os, "fsync", lambda _: None),
                (admitting, "require_version", lambda *_: None),
                (verify, "verify", lambda _: verify.Verdict(BUNDLE, ok=True, output="")),
            ):
                stack.enter_context(mock.patch.object(module, name, own))
            yield


@cache
def _source() -> Path:
    """``host`` serves the build ``old``, ``new`` is built."""
    root = Path(mkdtemp(prefix="meshctl-fuzz-"))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        _install(root)
    return root


def _install(root: Path) -> None:
    applied.certificates(root)
    for word in ("old", "new"):
        applied.bundle(root, word)
    (root / "outside").mkdir()
    (root / "outside/kept").write_bytes(b"x")
    host = root / "host"
    with Sidecar(host / BUNDLE / "envoy", None).there():
        words = [f"--bundle={root / 'old'}", f"--to={host}", "--service=web", f"--certs={root / 'certs'}"]
        assert run(["apply", *words]) == 0


def put(chance: Chance, folder: Path) -> None:
    """An apply of whatever is there, then another that only recovers, with a disk and a sidecar that do as they should."""
    folder.mkdir(parents=True)
    for each in ("host", "new", "newer", "outside"):
        shutil.copytree(_source() / each, folder / each, symlinks=True)
    host = folder / "host"
    for _ in range(chance.randrange(4)):
        _change(folder, chance)
    before, there, planned = state(folder), files(host), _planned(folder / "new")
    wholes = (there, _old(), planned, *_released(Place(host / BUNDLE)))
    began = bool(disk.leads(host / BUNDLE / manifest.RELEASES / "good"))
    sidecar = Sidecar(host / BUNDLE / "envoy", chance.choice((applied.build_id("old"), None)), chance)
    words = _words(chance, folder)
    with sidecar.there(), _failing(chance):
        code, told = _run(words, folder)
    _judge(folder, before, wholes, began)
    assert "--dry-run" not in words or _unlocked(state(folder)) == _unlocked(before)
    if code == 0 and "web  applied" in told:
        now = files(host)
        assert {path: now.get(path) for path in planned} == planned
        assert not {path for path in _old() if path in now and path not in planned and there.get(path) == _old()[path]}  # fmt: skip
    with Sidecar(host / BUNDLE / "envoy", applied.build_id("old")).there():
        code, _ = _run(["apply", "--recover", f"--to={host}"], folder)
    _judge(folder, before, wholes, began)
    assert code or all(each.is_settled for each in _places(host))


def _words(chance: Chance, folder: Path) -> list[str]:
    words = ["apply", f"--to={folder / 'host'}", f"--format={chance.choice(('text', 'text', 'json'))}"]
    words += ["--recover"] if chance.once_in(4) else [f"--bundle={folder / 'new'}"]
    words += ["--restart=start it"] if chance.once_in(3) else []
    if words[3] != "--recover":
        words += ["--service=web"] if chance.once_in(3) else []
        words += [f"--certs={folder / 'newer'}"] if chance.once_in(2) else []
        words += ["--dry-run"] if chance.once_in(8) else []
    return words


def _run(words: list[str], folder: Path) -> tuple[int, str]:
    return command(words, folder, folder / "host", share=3)


def _change(folder: Path, chance: Chance) -> None:
    releases = folder / "host" / BUNDLE / manifest.RELEASES
    journals = [folder / "host/manifest.json", folder / "new/manifest.json", *releases.glob("*/release.json")]
    match chance.randrange(4):
        case 0:
            path = chance.choice(journals)
            if path.is_file() and not path.is_symlink():
                path.write_bytes(document(path.read_bytes(), chance))
        case 1 if releases.is_dir():
            link = releases / chance.choice(("current", "good", "back"))
            if not link.is_dir() or link.is_symlink():
                link.unlink(missing_ok=True)
                link.symlink_to(chance.choice((*_LEADS, *_names(releases))))
        case _:
            below = folder / chance.choice(("host", "host", "new", "newer"))
            paths = sorted(below.rglob("*"))
            if paths:
                disturb(chance.choice(paths), folder, chance)


def _names(releases: Path) -> list[str]:
    return [each.name for each in sorted(releases.iterdir())]


def document(content: bytes, chance: Chance) -> bytes:
    """One of JSON with a value or a name in it that nobody expects."""
    try:
        document = json.loads(content)
    except ValueError:
        return content
    path = chance.choice(walk(document))
    if not path:
        return json.dumps(chance.choice(_ODD)).encode()
    inner: Any = document
    for key in path[:-1]:
        inner = inner[key]
    if isinstance(inner, dict) and chance.once_in(2):
        inner[str(chance.choice(_ODD))] = inner.pop(path[-1])
    else:
        inner[path[-1]] = chance.choice(_ODD)
    return json.dumps(document).encode()


@contextlib.contextmanager
def _failing(chance: Chance) -> Iterator[None]:
    """A disk that fails once, at any of the first steps, or not."""
    left = chance.randrange(120)
    kind = chance.choice((errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES))

    def counted(work: Callable[..., None]) -> Callable[..., None]:
        def step(*arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise OSError(kind, os.strerror(kind), str(arguments[0]))
            work(*arguments)

        return step

    with contextlib.ExitStack() as stack:
        for name in ("write", "replace", "point", "sync"):
            stack.enter_context(mock.patch.object(disk, name, counted(getattr(disk, name))))
        yield


def files(host: Path) -> Files:
    """What whoever opens a bundle's files reads, but certificates and the state of what runs."""
    root = host / BUNDLE
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if name.parts[0] not in (manifest.RELEASES, *manifest.UNLISTED):
            with contextlib.suppress(OSError):
                if stat.S_ISREG(path.stat().st_mode):
                    found[str(name)] = path.read_bytes()
    return found


@cache
def _old() -> Files:
    return files(_source() / "old")


def _planned(built: Path) -> Files:
    """What the manifest of a build lists, as far as it is there as listed."""
    found = {}
    with contextlib.suppress(OSError, MeshctlError):
        for path, file in manifest.read(built).files_of(BUNDLE).items():
            where = built / BUNDLE / path
            if where.is_file() and hashlib.sha256(where.read_bytes()).hexdigest() == file.sha256:
                found[path] = where.read_bytes()
    return found


def _released(place: Place) -> Iterator[Files]:
    """What its releases hold, whatever is left of them."""
    for name in ("current", "good"):
        with contextlib.suppress(OSError, MeshctlError):
            if (release := getattr(place, name)) is not None:
                where = {path: place.path(release) / path for path in release.files}
                yield {path: each.read_bytes() for path, each in where.items() if each.is_file()}


def _places(host: Path) -> list[Place]:
    found = (path.parent for depth in ("*", "*/*") for path in host.glob(f"{depth}/{manifest.RELEASES}"))
    return [Place(each) for each in found]


def _judge(
    folder: Path, before: Mapping[str, tuple[int, bytes]], wholes: tuple[Files, ...], began: bool
) -> None:
    after = state(folder)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert all(name.startswith("host/") for name in changed), sorted(changed)
    for name, (mode, _) in after.items():
        if name.endswith(".key") and stat.S_ISREG(mode) and before.get(name) != after[name]:
            assert stat.S_IMODE(mode) == 0o600, name
    own = {*wholes[1], *wholes[2]}
    now, *could = ({path: each[path] for path in each if path in own} for each in (files(folder / "host"), *wholes))  # fmt: skip
    # Where nothing was ever proved, nothing is what was before.
    assert now in could or (not began and not now), sorted(set(could[0]) ^ set(now))


def _unlocked(found: Mapping[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    """But for what shows that somebody was here: locks, and what killed runs left and are swept."""
    return {name: each for name, each in found.items() if not name.endswith((".lock", ".tmp"))}

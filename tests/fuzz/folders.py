"""Folders with things in them that nobody expects, and what changed in them."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from tests.fuzz import forged
from tests.fuzz.chance import Chance
from tests.fuzz.pki_files import PIECES

State = dict[str, tuple[int, bytes]]
"""What is at each path: its kind and permissions, and its content or where it leads."""


def state(folder: Path) -> State:
    """Of everything below; no link is followed."""
    found: State = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = b""
        if stat.S_ISLNK(mode):
            content = os.fsencode(path.readlink())
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        found[os.path.relpath(path, folder)] = (mode, content)
    return found


def disturb(path: Path, folder: Path, chance: Chance) -> None:
    """Put something else in the place of a file or folder: other content, a link, a pipe, a folder, nothing."""
    content = path.read_bytes() if path.is_file() else b""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644
    match chance.randrange(10):
        case 0:
            _remove(path)
        case 1:
            _remove(path)
            path.symlink_to(
                chance.choice((folder / "outside", folder / "outside/kept", path, folder / "gone"))
            )
        case 2:
            _remove(path)
            os.mkfifo(path, 0o600)
        case 3:
            _remove(path)
            path.mkdir()
            (path / "inside").write_bytes(b"x")
        case 4:
            moved = folder / "outside/moved"
            if path.exists() and not moved.exists():
                path.rename(moved)
                path.symlink_to(moved)
        case 5:
            (path.parent / f".{path.name}.0123456789abcdef.tmp").write_bytes(b"left by a killed run")
        case 6 | 7 if path.is_file():
            _write(path, forged.changed(content, chance), mode)
        case 8 if path.is_file():
            _write(path, b"".join(chance.choice(PIECES) for _ in range(chance.randrange(6))), mode)
        case 9 if path.is_file():
            changed = bytearray(content)
            where = chance.randrange(len(changed) + 1)
            changed[where : where + chance.randrange(3)] = chance.choice(PIECES)
            _write(path, bytes(changed), chance.choice((mode, 0o644, 0o600, 0o000)))
        case _:
            pass  # only a file has content to change


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""The files of a build as they were when it left them, so that the next one need not read or make them again."""

from __future__ import annotations

import os
import stat

from meshctl.cache.marks import is_settled, mark, wait_for_a_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Standing:
    """The files of one build: ``name`` is of this record alone, ``marks`` by the path below the build's folder."""

    def __init__(self, name: str, marks: Mapping[str, str]) -> None:
        self.name = name
        self.marks = marks

    def render(self) -> bytes:
        """For :func:`parse` and :func:`stand`."""
        return "\n".join((self.name, *(f"{path}\t{how}" for path, how in self.marks.items()))).encode()


def look(root: str, written: Mapping[str, str], known: Mapping[str, str]) -> Standing | None:
    """The files as they are now that were just written or compared, as which ``written`` says: what :func:`start` gave.

    With the marks of those that are ``known``. None where one is another already, or where a change that comes now might not show. Waits some 20 ms for files just written.
    """
    found = dict(known)
    try:
        if not all(is_settled(os.lstat(f"{root}/{path}")) for path in written):
            wait_for_a_step()
        for path, beginning in written.items():
            status = os.lstat(f"{root}/{path}")
            if start(status) != beginning or not is_settled(status) or "\n" in path:
                return None
            found[path] = mark(status)
    except OSError:
        return None
    return Standing(os.urandom(16).hex(), found)


def marks(root: str, paths: Iterable[str]) -> dict[str, str]:
    """The marks of those files that are there, behind no link."""
    found = {}
    real: dict[str, bool] = {}
    for path in paths:
        above = path.rpartition("/")[0]
        if above not in real:
            real[above] = all(_is_folder(f"{root}/{each}") for each in _folders([path]))
        if not real[above]:
            continue
        try:
            found[path] = mark(os.lstat(f"{root}/{path}"))
        except OSError:
            continue
    return found


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _folders(paths: Iterable[str]) -> set[str]:
    """All that are above them."""
    found: set[str] = set()
    for path in paths:
        above = path.rpartition("/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return found


def start(status: os.stat_result) -> str:
    """What of a mark is known before a file gets its name, which is a change of its own."""
    return mark(status).rpartition(" ")[0]


def parse(content: bytes) -> Standing:
    """What :meth:`Standing.render` gave."""
    name, *lines = content.decode().split("\n")
    marks = {}
    for line in lines:
        path, _, how = line.rpartition("\t")
        marks[path] = how
    return Standing(name, marks)


def stand(root: str, content: bytes, name: str) -> bool:
    """Whether this is the record of that name, and all its files are as they were. Raises OSError where one is gone."""
    found, *lines = content.decode().split("\n")
    if found != name:
        return False
    marks = [line.rpartition("\t") for line in lines]
    # Written out, and from within the folder, whose name is then not looked up each time: this is asked of every file.
    look, inside = os.stat, os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # A file keeps its mark behind a link that took the place of a folder above it; a build writes through none.
        for folder in _folders(path for path, _, _ in marks):
            if not stat.S_ISDIR(look(folder, dir_fd=inside, follow_symlinks=False).st_mode):
                return False
        for path, _, how in marks:
            now = look(path, dir_fd=inside, follow_symlinks=False)
            if f"{now.st_ino} {now.st_size} {now.st_mtime_ns} {now.st_ctime_ns}" != how:
                return False
    finally:
        os.close(inside)
    return True

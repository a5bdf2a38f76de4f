"""The files of a build as they were when it left them, so that the next one need not read or make them again."""

from __future__ import annotations

import os

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
    """The marks of those files that are there."""
    found = {}
    for path in paths:
        try:
            found[path] = mark(os.lstat(f"{root}/{path}"))
        except OSError:
            continue
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
    # Written out, and from within the folder, whose name is then not looked up each time: this is asked of every file.
    stat, inside = os.stat, os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for line in lines:
            path, _, how = line.rpartition("\t")
            now = stat(path, dir_fd=inside, follow_symlinks=False)
            if f"{now.st_ino} {now.st_size} {now.st_mtime_ns} {now.st_ctime_ns}" != how:
                return False
    finally:
        os.close(inside)
    return True

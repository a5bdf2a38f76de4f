"""Whole answers of commands: what was said and the exit code, for as long as nothing they rest on has changed."""

from __future__ import annotations

import os
import sys
import time
from contextvars import ContextVar

from meshctl.cache import outputs, premises, program, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshctl.cache.outputs import Standing
    from meshctl.cache.premises import Premises
    from meshctl.cache.store import Store

COMMANDS = ("build", "validate")
"""Whose answers are kept."""
NO_CACHE = "--no-cache"

_DIGITS = 12
"""Of the length before each part of an entry."""


class Answer:
    """``said``: the streams (1 or 2) and what was written there, in order."""

    def __init__(self, code: int, said: Sequence[tuple[int, str]]) -> None:
        self.code = code
        self.said = said

    def tell(self) -> int:
        """Say it again; returns the exit code. Raises OSError."""
        for stream, text in self.said:
            (sys.stdout if stream == 1 else sys.stderr).write(text)
        sys.stdout.flush()
        return self.code


class Question:
    """A run of a command whose answer is not known, and what may be kept of it."""

    def __init__(self, kept: Store, program: str, key: str, rests_on: Premises) -> None:
        self._store = kept
        self._program = program
        self._key = key
        self._premises = rests_on

    def standing(self, out: str) -> Standing | None:
        """The files below ``out`` as the last build of this same meshctl left them."""
        content = self._store.get(_outputs_key(self._program, out))
        try:
            return None if content is None else outputs.parse(content)
        except ValueError:
            return None

    def keep_standing(self, out: str, standing: Standing) -> bool:
        """Keep it for :meth:`standing`; False where that cannot be."""
        return self._store.put(_outputs_key(self._program, out), standing.render())

    def keep(self, answer: Answer, *, day: str = "", out: str = "", standing: str = "") -> None:
        """Keep what this run said, where all that it rests on can be looked at again.

        ``day`` is the date (UTC) on which alone it holds; empty where dates do not count. ``standing`` names what is kept of the
        files in the folder ``out`` that it rests on, too.
        """
        if not self._premises.whole:
            return
        said = [part for stream, text in answer.said for part in (str(stream), text)]
        parts = (str(answer.code), day, out, standing, self._premises.render(), *said)
        self._store.put(self._key, _packed(parts))


_asked: ContextVar[Question | None] = ContextVar("asked", default=None)


def asked() -> Question | None:
    """The question of this run; None where nothing is to be kept."""
    return _asked.get()


def today() -> str:
    """The date in UTC, as answers have it."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def recall(arguments: Sequence[str]) -> Answer | None:
    """The answer of an earlier run if it is this run's, too. Where it is not, the run is :func:`asked` from here on."""
    if not arguments or arguments[0] not in COMMANDS or NO_CACHE in arguments:
        return None
    try:
        work = os.getcwd()
        where = store.folder(os.environ, work)
        if where is None:
            return None
        this = program.identity()
        kept = store.Store(where)
        key = "\0".join(("answer", this, work, *_terminal(), *arguments))
        found = _sound(kept, this, kept.get(key))
    except (OSError, ValueError):
        return None
    if found is None:
        _asked.set(Question(kept, this, key, premises.listen()))
    return found


def _sound(kept: Store, this: str, content: bytes | None) -> Answer | None:
    """The answer in an entry, if it still holds."""
    if content is None:
        return None
    try:
        code, day, out, standing, rests_on, *said = _parts(content)
        if day not in ("", today()) or not premises.hold(rests_on):
            return None
        if standing:
            files = kept.get(_outputs_key(this, out))
            if files is None or not outputs.stand(out, files, standing):
                return None
        return Answer(int(code), tuple(zip(map(int, said[::2]), said[1::2], strict=True)))
    except (OSError, ValueError):
        return None


def _outputs_key(this: str, out: str) -> str:
    return f"outputs\0{this}\0{os.path.realpath(out)}"


def _terminal() -> tuple[str, ...]:
    """What of the surroundings shows in what is said."""
    colours = os.environ.get("NO_COLOR", "")
    return (colours, *(str(each.isatty()) for each in (sys.stdout, sys.stderr)))


def _packed(parts: Sequence[str]) -> bytes:
    encoded = (each.encode(errors="surrogatepass") for each in parts)
    return b"".join(b"%0*d%b" % (_DIGITS, len(each), each) for each in encoded)


def _parts(content: bytes) -> Iterator[str]:
    at = 0
    while at < len(content):
        begin = at + _DIGITS
        at = begin + int(content[at:begin])
        yield content[begin:at].decode(errors="surrogatepass")

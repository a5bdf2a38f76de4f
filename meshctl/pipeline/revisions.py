"""One spec at many revisions: each is read once, and resolved only when somebody asks for its mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from meshctl.diagnostics import Finding, FindingsError
from meshctl.pipeline.checking import Loaded, Validated, check, understand

if TYPE_CHECKING:
    from meshctl import ir
    from meshctl.load.commits import Trail
    from meshctl.load.files import SpecFiles
    from meshctl.load.parsed import ParsedFiles
    from meshctl.spec import Spec

_KEPT = 3


class State(Struct):
    """A spec as it was at one moment."""

    loaded: Loaded
    _validated: Validated | None = None

    @property
    def spec(self) -> Spec | None:
        """None where its shape is not right."""
        return self.loaded.spec

    @property
    def is_valid(self) -> bool:
        """Whether it has a meaning."""
        return self._checked().mesh is not None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Why it has none."""
        return tuple(each for each in self._checked().findings if each.is_error)

    def require_spec(self) -> Spec:
        """The spec; raises FindingsError where its shape is not right."""
        if self.loaded.spec is None:
            error = FindingsError(self.loaded.findings, self.loaded.texts)
            error.exit_code = 2 if self.loaded.unreadable else 1
            raise error
        return self.loaded.spec

    def require_mesh(self) -> ir.Mesh:
        """What it means, without build ids; raises FindingsError where it means nothing."""
        return self._checked().require()

    def means_the_same(self, other: State) -> bool:
        """Whether no line that is part of a meaning differs: comments, layout, the order of keys and files do not count."""
        if self.loaded is other.loaded:
            return True
        mine, theirs = self.spec, other.spec
        if mine is None or theirs is None:
            return False
        return mine.source.node == theirs.source.node and mine.files == theirs.files

    def _checked(self) -> Validated:
        if self._validated is None:
            self._validated = check(self.loaded, builds=False)
        return self._validated


class Revisions(Struct):
    """The states of a spec, the last few of them kept."""

    environment: str | None = None
    _states: dict[str, State] = field(default_factory=dict)
    _by_content: dict[object, State] = field(default_factory=dict)
    _parsed: ParsedFiles | None = None

    def at(self, location: str) -> State:
        """The spec at ``location``. Raises UsageError where there is nothing to read, or no such environment."""
        state = self._states.get(location)
        if state is None:
            state = self._read(location)
            _keep(self._states, location, state)
        return state

    def _read(self, location: str) -> State:
        from meshctl.load.environments import select
        from meshctl.load.location import read_files
        from meshctl.load.parsed import ParsedFiles
        from meshctl.load.reading import parse_spec

        files = read_files(location)
        over = select(location, files.folder, self.environment) if self.environment is not None else None
        content = _blobs(files), _blobs(over) if over is not None else ()
        known = self._by_content.get(content)
        # A file that the spec names may differ where all of its own files are the same.
        if known is not None and known.spec is not None and not known.spec.files:
            return known
        if self._parsed is None:
            self._parsed = ParsedFiles()
        read = parse_spec(files, location, over, self._parsed)
        state = State(understand(read, self.environment))
        _keep(self._by_content, content, state)
        return state


def _blobs(files: SpecFiles) -> tuple[object, ...]:
    return (*(each.blob for each in files.files), len(files.findings))


def _keep(known: dict[object, State] | dict[str, State], key: object, state: State) -> None:
    known[key] = state  # type: ignore[index]
    while len(known) > _KEPT:
        del known[next(iter(known))]  # type: ignore[arg-type]


def commits(location: str, state: State, environment: str | None, since: str) -> Trail:
    """The commits that changed the spec at ``location``, which is ``state`` now, and what it reads beside itself."""
    from meshctl.load.commits import trail
    from meshctl.load.files import ENVIRONMENTS

    if state.loaded.read.folder == location:
        return trail(location, since=since)
    named = tuple(state.spec.files) if state.spec is not None else ()
    return trail(location, (*named, *((ENVIRONMENTS,) if environment is not None else ())), since)

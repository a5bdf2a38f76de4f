"""Raw nodes to MeshSpec: the one validation pass, its errors told in the user's words and places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Mend, Position, Rename
from meshctl.load import language, suggestions
from meshctl.load.requirement import unmet
from meshctl.load.text import brief
from meshctl.spec import MeshSpec, Source, Spec
from meshctl.spec.source import Node

_KIND_WORDS = {
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "string_type": "text",
}
_FOREIGN = "This file is another program's: keep it out of the spec, whose files begin with `apiVersion: meshctl.dev/v1`."
_MOST_SUGGESTIONS = 100


def shape(source: Source, other: Spec | None = None) -> tuple[MeshSpec | None, tuple[Finding, ...]]:
    """The spec that ``source`` holds, or None and every fault of shape in it.

    Services whose nodes are those of ``other``, too, are taken from there.
    """
    version = unmet(source)
    try:
        written = MeshSpec.model_validate(source.node if other is None else _with_known(source.node, other))
    except ValidationError as error:
        told = faults(source, error)
        return None, (version, *told) if version else told
    return (None, (version,)) if version else (written, ())


def _with_known(node: Node, other: Spec) -> Node:
    """``node`` with the services of ``other`` that have the same nodes; pydantic takes a model for itself."""
    services = node.get("services") if isinstance(node, dict) else None
    if not isinstance(services, dict):
        return node
    nodes, known = other.source.node.get("services"), other.written.services or {}
    taken = {
        name: known[name] if name in known and part is nodes[name] else part
        for name, part in services.items()
    }
    return {**node, "services": taken}


def faults(
    source: Source, error: ValidationError, root: language.Annotation = MeshSpec, whole: str = "the spec"
) -> tuple[Finding, ...]:
    """What ``error`` says of ``source``, which is to be a ``root`` and is called ``whole``."""
    return _Faults(source, root, whole).told(error.errors(include_url=False))


class _Faults:
    """The walk over pydantic's errors. Only so many are worth a suggestion: each costs some comparisons."""

    def __init__(self, source: Source, root: language.Annotation, whole: str) -> None:
        self._source = source
        self._root = root
        self._whole = whole
        self._suggested = 0

    def told(self, details: Sequence[ErrorDetails]) -> tuple[Finding, ...]:
        """One finding for each error that is not the consequence of another one."""
        foreign = next((each for each in details if self._is_foreign(each)), None)
        if foreign is not None:
            return (self._other_version(foreign, _FOREIGN),)
        renamed = set(_renamed(details))
        return tuple(self._without_indices(each) for each in details if each["loc"] not in renamed)

    def _without_indices(self, detail: ErrorDetails) -> Finding:
        """The finding, with words that stay the same when items of lists move."""
        found, path = self._finding(detail), detail["loc"]
        words = found.message
        for length in range(len(path), 0, -1):
            part = path[:length]
            words = words.replace(
                self._shown(part), self._shown(each for each in part if isinstance(each, str))
            )
        return replace(found, words=words) if words != found.message else found

    def _finding(self, detail: ErrorDetails) -> Finding:
        path = list(detail["loc"])
        is_key = bool(path) and path[-1] == "[key]"
        if is_key:
            path.pop()
        if path and isinstance(self._part(path[:-1]).node, str):
            path.pop()  # a text that stands for a mapping, such as `{exact: text}`
        at, shown = self._source.at(*path), self._shown(path)
        match detail["type"]:
            case "extra_forbidden":
                message = f"`{brief(str(path[-1]))}` is not a key of {self._shown(path[:-1])}"
                fix = suggestions.for_key(str(path[-1]), path[:-1], self._root) if self._affordable() else ""
                return self._renaming(finding("unknown-key", at, message, fix=fix), path)
            case "missing":
                message = f"`{path[-1]}` is missing from {self._shown(path[:-1])}"
                return finding("missing-key", self._source.at(*path[:-1]), message)
            case "literal_error" if path == ["apiVersion"]:
                return self._other_version(detail)
            case "empty":
                known = language.annotation_at(path) if path and self._affordable() else None
                fix = suggestions.for_empty(known)
                return finding("empty-value", at, f"{shown} is written, but has no value", fix=fix)
            case _:
                place = at if is_key or not path else self._part(path[:-1]).value_at(path[-1])
                return self._wrong_value(detail, path, place or at, is_key=is_key)

    def _renaming(self, found: Finding, path: Sequence[str | int]) -> Finding:
        """``found`` with the name that was probably meant; whether it was is for the user to say."""
        meant, part = suggestions.MEANT.fullmatch(found.fix), self._source.part(*path)
        if meant is None or part is None:
            return found
        return replace(found, mend=Mend(Rename(part, meant[1]), safe=False))

    def _part(self, path: Sequence[str | int]) -> Source:
        part = self._source
        for key in path:
            part = part[key]
        return part

    def _is_foreign(self, detail: ErrorDetails) -> bool:
        """Whether this says that the file was written for another program."""
        return (
            detail["type"] == "literal_error" and detail["loc"] == ("apiVersion",) and "kind" in self._source
        )

    def _other_version(self, detail: ErrorDetails, fix: str = "") -> Finding:
        known = _expected(detail).strip("'")
        message = f"`apiVersion` is {_echo(detail['input'])}; this version of meshctl knows `{known}`"
        return finding("unsupported-version", self._source.value_at("apiVersion"), message, fix=fix)

    def _wrong_value(
        self, detail: ErrorDetails, path: Sequence[str | int], at: Position | None, *, is_key: bool
    ) -> Finding:
        shown, expected = self._shown(path), _expected(detail)
        annotation = language.annotation_at(path, key=is_key, root=self._root) if self._affordable() else None
        if detail["input"] is None:
            message = f"{shown} is written, but has no value; it must be {expected}"
            fix = suggestions.for_nothing(annotation)
            return finding("empty-value", at, message, fix=fix)
        if path and path[-1] in language.keys(annotation):
            fix = f"Indent it, if `{path[-1]}` belongs to the name above it."
        else:
            fix = suggestions.for_value(detail["input"], annotation)
        return finding(
            "invalid-value", at, f"{shown} must be {expected}, not {_echo(detail['input'])}", fix=fix
        )

    def _shown(self, path: Iterable[str | int]) -> str:
        text = ""
        for key in path:
            text += f"[{key}]" if isinstance(key, int) else f".{brief(key)}"
        return f"`{text.lstrip('.')}`" if text else self._whole

    def _affordable(self) -> bool:
        self._suggested += 1
        return self._suggested <= _MOST_SUGGESTIONS


def _renamed(details: Iterable[ErrorDetails]) -> Iterator[tuple[str | int, ...]]:
    """What is missing only because it stands there under another name, of which another finding speaks."""
    missing: dict[tuple[str | int, ...], list[str]] = {}
    unknown: list[tuple[str | int, ...]] = []
    for each in details:
        if each["type"] == "missing":
            missing.setdefault(each["loc"][:-1], []).append(str(each["loc"][-1]))
        elif each["type"] == "extra_forbidden" and len(unknown) < _MOST_SUGGESTIONS:
            unknown.append(each["loc"])
    for path in unknown:
        meant = suggestions.meant_key(str(path[-1]), missing.get(path[:-1], ()))
        if meant:
            yield *path[:-1], meant


def _expected(detail: ErrorDetails) -> str:
    if detail["type"] in _KIND_WORDS:
        return _KIND_WORDS[detail["type"]]
    context = detail.get("ctx", {})
    return str(context.get("expected", detail["msg"]))


def _echo(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"`{brief(str(value))}`"

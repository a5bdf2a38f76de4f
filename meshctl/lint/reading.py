"""Policy files to policies. All faults of all files are reported at their places; a faulty file is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl.catalogue import CODES, finding
from meshctl.diagnostics import Finding, Position, Severity
from meshctl.lint import literals
from meshctl.lint.cases import case
from meshctl.lint.cel import CelError, Expression, Lookup, compile_expression, variables_of
from meshctl.lint.checks import CHECKS
from meshctl.lint.facts import KINDS, SUBJECTS, Value
from meshctl.lint.literals import LiteralError
from meshctl.lint.policy import PLACEHOLDER, Assertion, BuiltIn, Case, Policy
from meshctl.lint.profiles import Profile, read_profile
from meshctl.spec import Positions, Source
from meshctl.spec.mesh import API_VERSION
from meshctl.spec.source import Node
from meshctl.suggestions import did_you_mean

_KEYS = (
    *("apiVersion", "kind", "code", "slug", "title", "why", "source", "severity", "mandatory", "select"),
    *("assert", "check", "params", "message", "at", "fix", "tests"),
)
_REQUIRED = ("apiVersion", "kind", "code", "slug", "title", "why", "severity", "message", "fix", "tests")
_FLAGS = ("true", "false")
_CODE = re.compile(r"[A-Z]{2,8}[0-9]{4}")
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class _RefusedError(Exception):
    """A part that cannot be read; its finding was made."""


class PolicySet(Struct):
    """The policies and profiles of all files, and the faults of those that could not be read."""

    policies: tuple[Policy, ...]
    findings: tuple[Finding, ...]
    lookup: Lookup = field(default_factory=Lookup)
    profiles: tuple[Profile, ...] = ()
    profile: Profile | None = None
    """The one that chose these policies."""


class PolicyFile(Protocol):
    """A YAML file as ``meshctl.load`` gives it."""

    @property
    def node(self) -> Node: ...
    @property
    def positions(self) -> Positions: ...
    @property
    def text(self) -> str: ...
    @property
    def findings(self) -> tuple[Finding, ...]: ...


def read_policies(
    files: Mapping[str, PolicyFile], *, beside: PolicySet | None = None, proven: bool = False
) -> PolicySet:
    """The policies in ``files``, which are given by name, sorted by code, and the profiles; a later one beats an earlier.

    What was read before and stands ``beside`` them comes first. Of ``proven`` files it is known that expressions
    compile and cases pass: the ones are compiled when they are first asked, the others not read.
    """
    before = beside or PolicySet((), ())
    found: list[Finding] = []
    policies: list[Policy] = []
    profiles: dict[str, Profile] = {each.name: each for each in before.profiles}
    for name, file in files.items():
        if file.findings:
            found += file.findings
            continue
        if isinstance(file.node, Mapping) and file.node.get("kind") == "Profile":
            profile, faults = read_profile(Source(file.positions, file.node), Position(name, 1, 1))
            profiles |= {profile.name: profile} if profile is not None else {}
            found += faults
            continue
        reader = _Reader(name, file, before.lookup, proven=proven)
        policy = reader.read()
        if policy is not None:
            policies.append(policy)
        found += reader.findings
    found += _clashes(policies, before.policies)
    chosen = tuple(sorted((*before.policies, *policies), key=lambda each: each.code))
    return PolicySet(chosen, (*before.findings, *found), before.lookup, tuple(profiles.values()))


def _clashes(policies: Iterable[Policy], before: Iterable[Policy]) -> Iterator[Finding]:
    taken = {name for each in CODES.values() for name in (each.code, each.slug)}
    taken |= {name for each in before for name in (each.code, each.slug)}
    for policy in policies:
        for name in (policy.code, policy.slug):
            if name in taken:
                yield finding("policy-invalid", policy.at, f"`{name}` is another rule's already")
            taken.add(name)


def _named(fact: str) -> str:
    """A pattern that finds `service.name` in an expression; there may be blanks around the dot."""
    kind, _, name = fact.partition(".")
    return rf"\b{kind}\s*\.\s*{name}\b"


class _Reader:
    """The walk over one policy file."""

    def __init__(self, name: str, file: PolicyFile, lookup: Lookup, *, proven: bool) -> None:
        self.findings: list[Finding] = []
        self._top = Position(name, 1, 1)
        self._source = Source(file.positions, file.node)
        self._lines = file.text.split("\n")
        self._lookup = lookup
        self._proven = proven

    def read(self) -> Policy | None:
        """The policy, or None where a fault was found."""
        try:
            self._check_keys()
            policy = self._policy()
        except _RefusedError:
            return None
        return None if self.findings else policy

    def _refuse(self, at: Position | None, message: str, fix: str = "") -> _RefusedError:
        self.findings.append(finding("policy-invalid", at or self._top, message, fix=fix))
        return _RefusedError()

    def _check_keys(self) -> None:
        node = self._source.node
        if not isinstance(node, Mapping):
            raise self._refuse(self._top, "a policy file is a mapping, with keys such as `assert`")
        for key in node:
            if key not in _KEYS:
                fix = did_you_mean(key, _KEYS, f"Known here: {', '.join(_KEYS)}.")
                self._refuse(self._source.at(key), f"`{key}` is not a key of a policy", fix)
        missing = [key for key in _REQUIRED if key not in node]
        if missing:
            raise self._refuse(self._top, f"missing from this policy: {', '.join(missing)}")

    def _text(self, key: str, check: Callable[[str], object] = bool, expected: str = "text") -> str:
        value = self._source[key].node
        if not isinstance(value, str) or not check(value):
            raise self._refuse(self._source.value_at(key), f"`{key}` must be {expected}")
        return value

    def _policy(self) -> Policy:
        self._text("apiVersion", lambda text: text == API_VERSION, f"`{API_VERSION}`")
        self._text("kind", lambda text: text == "Policy", "`Policy`")
        severities = [each.value for each in Severity]
        severity = Severity(
            self._text("severity", severities.__contains__, f"one of {', '.join(severities)}")
        )
        params = self._params()
        body, known = self._body(params)
        policy = Policy(
            code=self._text("code", _CODE.fullmatch, "letters and four digits, such as ACME0001"),
            slug=self._text("slug", _SLUG.fullmatch, "words in lower case joined by `-`"),
            title=self._text("title"),
            why=self._text("why"),
            origin=self._text("source") if "source" in self._source else "",
            mandatory="mandatory" in self._source
            and self._text("mandatory", _FLAGS.__contains__, "true or false") == "true",
            fix=self._text("fix"),
            severity=severity,
            message=self._message(known),
            params=params,
            body=body,
            tests=(),
            at=self._source.at("slug"),
        )
        return policy if self._proven else replace(policy, tests=tuple(self._tests()))

    def _params(self) -> dict[str, Value]:
        written = self._source["params"]
        if written.node is None and "params" not in self._source:
            return {}
        if not isinstance(written.node, Mapping):
            raise self._refuse(written.here, "`params` must be a mapping of names to defaults")
        params = {}
        for name, node in written.node.items():
            try:
                params[name] = literals.guess(node)
            except LiteralError as error:
                raise self._refuse(written.value_at(name), f"`params.{name}` must be {error}") from None
        return params

    def _body(self, params: Mapping[str, Value]) -> tuple[Assertion | BuiltIn, set[str]]:
        """What decides, and the names that the message may use."""
        own = {f"params.{name}": literals.type_of(value) for name, value in params.items()}
        if ("assert" in self._source) == ("check" in self._source):
            raise self._refuse(self._source.at("check"), "a policy has either an `assert` or a `check`")
        if "check" in self._source:
            return self._built_in(params, own)
        kind = self._kind()
        variables = variables_of(kind) | own
        selects = "where" in self._source["select"]
        where = self._expression(self._source["select"], "where", variables) if selects else None
        holds = self._expression(self._source, "assert", variables)
        text = f"{where.text if where else ''} {holds.text}"
        asks = tuple(name for name in variables_of(kind) if re.search(_named(name), text))
        return Assertion(kind, where, holds, self._place(kind), asks), set(variables)

    def _built_in(self, params: Mapping[str, Value], own: Mapping[str, object]) -> tuple[BuiltIn, set[str]]:
        name = self._text("check", CHECKS.__contains__, f"one of {', '.join(sorted(CHECKS))}")
        for key in ("select", "at"):
            if key in self._source:
                raise self._refuse(self._source.at(key), f"a `check` chooses by itself; remove `{key}`")
        wanted = {key: literals.type_of(value) for key, value in CHECKS[name].params.items()}
        if wanted != {key: literals.type_of(value) for key, value in params.items()}:
            told = ", ".join(f"{key} ({KINDS[type_]})" for key, type_ in wanted.items())
            raise self._refuse(self._source.at("params"), f"the params of `{name}` are: {told or 'none'}")
        return BuiltIn(name), set(CHECKS[name].values) | set(own)

    def _kind(self) -> str:
        select = self._source["select"]
        kind = select["kind"].node
        if not isinstance(kind, str) or kind not in SUBJECTS:
            raise self._refuse(select.at("kind"), f"`select.kind` must be one of {', '.join(SUBJECTS)}")
        for key in select.node:
            if key not in ("kind", "where"):
                raise self._refuse(select.at(key), f"`{key}` is not a key of `select`")
        return str(kind)

    def _expression(self, parent: Source, key: str, variables: Mapping[str, object]) -> Expression:
        text = parent[key].node
        if not isinstance(text, str):
            raise self._refuse(parent.value_at(key), f"`{key}` must be an expression")
        if self._proven:
            return Expression(text, variables, self._lookup)
        try:
            return compile_expression(text, variables, self._lookup)
        except CelError as error:
            at = self._within(parent.value_at(key), error)
            raise self._refuse(at, f"`{key}`: {error}", "The language is CEL; see docs/rules.md.") from None

    def _place(self, kind: str) -> tuple[str, ...]:
        if "at" not in self._source:
            return ()
        first, *rest = self._text("at").split(".")
        if first != kind:
            raise self._refuse(self._source.value_at("at"), f"`at` must begin with `{kind}`")
        return tuple(rest)

    def _message(self, known: set[str]) -> str:
        text = self._text("message")
        for found in PLACEHOLDER.finditer(text):
            if found[1] not in known:
                fix = did_you_mean(found[1], known, f"Known here: {', '.join(sorted(known))}.")
                raise self._refuse(self._source.value_at("message"), f"there is no `{found[1]}` here", fix)
        return text

    def _tests(self) -> Iterator[Case]:
        tests = self._source["tests"]
        cases = []
        for index, _ in enumerate(tests.node if isinstance(tests.node, list) else ()):
            try:
                cases.append(case(tests[index]))
            except LiteralError as error:
                self._refuse(tests.at(index), f"this test is not understood: {error}")
        if {each.passes for each in cases} != {True, False}:
            self._refuse(self._source.at("tests"), "a policy needs a case that passes and one that fails")
        yield from cases

    def _within(self, at: Position | None, error: CelError) -> Position | None:
        """The place of a fault inside an expression, where the expression is written on one line."""
        if at is None or error.line != 1:
            return at
        first = self._lines[at.line - 1][at.column - 1]
        if first in "|>":
            return at
        return at._replace(column=at.column + error.column - 1 + (first in "'\""))

"""What a format may need to know besides the findings, and the writing of text that came from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from meshctl.diagnostics import Finding, Identity, Position, Severity, identity

if TYPE_CHECKING:
    from meshctl.lint.baseline import Absent
    from meshctl.load.edits import Change
    from meshctl.pipeline import Rule
    from meshctl.pipeline.linting import Verdict


def not_fixable(finding: Finding) -> bool:
    """For commands that fix nothing."""
    return False


def no_service(at: Position | None) -> str:
    """For callers that know of no services."""
    return ""


class Context(Struct, frozen=True):
    """Where the findings come from. What a caller does not know has a default that is right, if poorer."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """Every file by the name that findings use, for the lines shown."""
    colour: bool = False
    command: str = "meshctl"
    spec: str = "."
    """The place of findings that have none."""
    threshold: Severity | None = Severity.ERROR
    """The mildest severity that fails a run; None where none does."""
    rules: Sequence[Rule] = ()
    """Every rule that was looked at, whether or not it found something."""
    verdicts: Sequence[Verdict] | None = None
    """What the groups of a profile come to; None for commands that ask no rules."""
    service_of: Callable[[Position | None], str] = no_service
    """The service whose part of the spec holds a place; empty where it is none's."""
    fixable: Callable[[Finding], bool] = not_fixable
    """Whether the command can be told to fix a finding."""
    fixes: Mapping[Finding, Sequence[Change]] = field(default_factory=dict)
    """What that would change in the finding's file."""
    absent: Sequence[Absent] | None = None
    """What a baseline holds and nobody finds; None where there is no baseline."""

    def fails(self, finding: Finding) -> bool:
        """Whether ``finding`` alone gives exit code 1."""
        return (
            self.threshold is not None
            and not finding.is_accepted
            and finding.severity.at_least(self.threshold)
        )

    def identities(self, findings: Sequence[Finding]) -> list[Identity]:
        """What makes each the same finding in another run."""
        return [identity(each, self.service_of(each.at)) for each in findings]

    def place(self, finding: Finding) -> Position:
        """Where ``finding`` is; formats that demand a place get the top of the spec where there is none."""
        return finding.at or Position(self.spec, 1, 1)


def line_and_column(text: str, index: int) -> tuple[int, int]:
    """Where a character of ``text`` stands, both counted from 1."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def accepted(finding: Finding) -> str:
    """Who or what has accepted it, to be put behind its message; empty where nobody has."""
    if finding.waived:
        return f" (waived: {finding.waived})"
    return " (in the baseline)" if finding.in_baseline else ""


def printable(text: str) -> str:
    """``text`` with control characters and lone surrogates shown as escapes, so that none reaches a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def one_line(text: str) -> str:
    """``text`` on one line, so that a value of the user's cannot look like another finding."""
    return printable(text).replace("\n", "\\n")


def docs_link(code: str) -> str:
    """The part of the documentation about ``code``; empty for rules that are not meshctl's own."""
    return f"docs/findings.md#{code.lower()}" if code.startswith("MSH") else ""


def json_text(document: object) -> str:
    """``document`` as JSON, indented. What a terminal would hide or act upon stands in it as an escape of JSON's own;
    lone surrogates, which JSON cannot hold, become escapes too.
    """
    import json

    import orjson

    text = orjson.dumps(_sound(document), option=orjson.OPT_INDENT_2).decode() + "\n"
    if text.isascii() and "\x7f" not in text:
        return text
    # To JSON itself DEL is a character like others.
    text = text.replace("\x7f", "\\u007f")
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _sound(node: object) -> object:
    match node:
        case str():
            return node if node.isprintable() else node.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_sound(key): _sound(value) for key, value in node.items()}
        case list():
            return [_sound(each) for each in node]
        case _:
            return node

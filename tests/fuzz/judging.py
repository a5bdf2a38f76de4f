"""What must hold for any input: an answer, at a place of a file, soon, and nothing touched that is not meant."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from meshctl import pipeline
from meshctl.cli.app import run
from meshctl.cli.findings import printable
from meshctl.diagnostics import Finding, MeshctlError
from tests.fuzz.seeds import Node
from tests.fuzz.watching import watched

LONGEST = 1500
"""Characters of a finding: it must not carry the input."""

_RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
"""What can take over a terminal, or hide what it shows."""


def write(
    folder: Path, files: dict[str, Node], blobs: dict[str, bytes], dump: Callable[[Node], str] | None = None
) -> None:
    """A folder with exactly these files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, node in files.items():
        _write(folder / name, (dump or plain)(node).encode("utf-8", "surrogatepass"))
    for name, content in blobs.items():
        _write(folder / name, content)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def plain(node: Node) -> str:
    """As JSON, which is YAML, with a line for each key so that places differ."""
    return json.dumps(node, ensure_ascii=False, indent=0)


def check_findings(findings: Iterable[Finding], texts: dict[str, str]) -> None:
    """Each stands at a place that is there, in words that can be shown."""
    lines = {name: text.split("\n") for name, text in texts.items()}
    for each in findings:
        assert each.at is not None, each
        assert each.message.isprintable(), each
        assert len(each.message) + len(each.fix) < LONGEST, each
        for at in (each.at, *(other.at for other in each.related)):
            if each.slug == "secret-in-spec":
                # Nothing of such a file is kept to be shown.
                assert not any(lines.get(at.file, ())), each
            elif at.file in lines:
                text = lines[at.file]
                assert 1 <= at.line <= len(text), each
                assert 1 <= at.column <= len(text[at.line - 1]) + 1, each
            else:
                assert (at.line, at.column) == (1, 1), each


def validated(
    folder: Path, environment: str | None = None, proxy: str | None = None
) -> pipeline.Validated | None:
    """What `validate` makes of it, judged; None where the command line would be told that there is nothing to read."""
    with watched(folder):
        try:
            found = pipeline.validate(str(folder), environment=environment, proxy=proxy)
        except MeshctlError as error:
            refused(error)
            return None
    assert (found.mesh is None) == any(each.is_error for each in found.findings), found.findings
    check_findings(found.findings, dict(found.texts))
    return found


def refused(error: MeshctlError) -> None:
    """Said in words that can be shown."""
    assert str(error).isprintable(), error


def command(
    arguments: Sequence[str],
    reads: Path,
    writes: Path | None = None,
    share: float = 1,
    *,
    starts: tuple[str, ...] = (),
    errors_apart: bool = False,
) -> tuple[int, str]:
    """One command as its user sees it: exit code and output, with its standard error or without.

    A bug is an exception, for it is never to be code 3.
    """
    out, errors = io.StringIO(), io.StringIO()
    with (
        watched(reads, writes, share, starts=starts),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            code = run([*arguments, "--debug"])
        except OSError as error:
            code = 2
            errors.write(printable(error.strerror or str(error)))
        except SystemExit as end:
            code = int(end.code or 0)
    told = out.getvalue() + errors.getvalue()
    assert code in (0, 1, 2), (code, told)
    assert not _RAW.search(told), ascii(_RAW.search(told))
    assert code != 2 or told, "a refusal without a word"
    assert "PRIVATE KEY-----\nM" not in told
    return code, out.getvalue() if errors_apart else told

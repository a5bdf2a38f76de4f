"""Git as this room runs it: no shell, no hooks, no pager, no collection of garbage, in the language of its manual."""

from __future__ import annotations

import re
import subprocess

from meshctl.diagnostics import ToolError

_SECONDS = 60
FAR_SECONDS = 300
"""For what talks to a remote."""

_COMMAND = (
    "git",
    "--no-pager",
    "--no-replace-objects",
    "--no-optional-locks",
    "--literal-pathspecs",
    # Also `reference-transaction` and `pre-push`: nothing that lies in a clone decides over a publication.
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "i18n.commitEncoding=UTF-8"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
)
_LINES = 6
_USERINFO = re.compile(r"(?<=://)[^/\s]*@")
_QUERY = re.compile(r"(?P<url>\w://[^\s?#'\"]*)[?#][^\s'\"]*")


class GitError(ToolError):
    """Git ended with an error; the message is git's."""


def attempt(
    *arguments: str, stdin: bytes = b"", index: str = "", seconds: int = _SECONDS
) -> subprocess.CompletedProcess[bytes]:
    """Run git with ``index`` as its index file, whatever it ends with. Raises ToolError where it cannot be run."""
    settings = ("LC_ALL=C", *((f"GIT_INDEX_FILE={index}",) if index else ()))
    missing = ToolError("git is not installed, and nothing can be published without it")
    try:
        run = subprocess.run(
            ["env", *settings, *_COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=seconds,
        )
    except FileNotFoundError:
        raise missing from None
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"git {arguments[0]} did not answer within {seconds} s") from error
    if run.returncode == 127:
        raise missing
    return run


def git(*arguments: str, stdin: bytes = b"", index: str = "", seconds: int = _SECONDS) -> bytes:
    """What git prints. Raises GitError where it ends with anything but 0."""
    run = attempt(*arguments, stdin=stdin, index=index, seconds=seconds)
    if run.returncode:
        raise GitError(f"git: {complaint(run)}")
    return run.stdout


def line(*arguments: str) -> str:
    """The one line that git prints; empty where it ends with an error."""
    run = attempt(*arguments)
    return "" if run.returncode else run.stdout.decode("utf-8", "replace").strip()


def complaint(run: subprocess.CompletedProcess[bytes]) -> str:
    """What git said about its failure, without anybody's password."""
    told = without_credentials(run.stderr.decode("utf-8", "replace"))
    lines = [each.removeprefix("fatal: ").removeprefix("error: ") for each in told.strip().splitlines()]
    return "; ".join(filter(None, lines[:_LINES])) or f"it ended with {run.returncode}"


def without_credentials(text: str) -> str:
    """``text`` with nobody's name, password or token in its URLs."""
    return _QUERY.sub(r"\g<url>", _USERINFO.sub("", text))

"""A repository whose commits are by whom and of when a test says."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

START = datetime(2026, 1, 1, tzinfo=UTC)


class Repository:
    """The working folder; each commit is a day after the one before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        for name in ("GLOBAL", "SYSTEM"):
            monkeypatch.setenv(f"GIT_CONFIG_{name}", os.devnull)
        monkeypatch.chdir(folder)
        # Wherever a test goes afterwards, it must not write into another repository, least of all this one.
        self.folder = folder
        self._day = START
        if not (folder / ".git").exists():
            self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """Run git; what it prints."""
        settings = ("-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false")
        moment = f"{self._day:%Y-%m-%dT%H:%M:%SZ}"
        dates = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        done = subprocess.run(
            ["git", *settings, *arguments],
            check=True,
            capture_output=True,
            cwd=self.folder,
            env=os.environ | dates,
        )
        return done.stdout.decode("utf-8", "surrogateescape")

    def write(self, files: dict[str, str]) -> None:
        """Write files; an empty text removes one."""
        for path, text in files.items():
            file = self.folder / path
            if text:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, "utf-8")
            else:
                file.unlink()

    def commit(self, author: str, subject: str, files: dict[str, str] | None = None) -> None:
        """Commit files."""
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", f"--author={author} <{author}@example.com>", "-m", subject)
        self._day += timedelta(days=1)

    def without_ids(self, text: str) -> str:
        """The text with each commit's short id as its subject in brackets."""
        for line in self.git("log", "--all", "--format=%h %s").splitlines():
            short, _, subject = line.partition(" ")
            text = text.replace(short, f"[{subject}]")
        return text

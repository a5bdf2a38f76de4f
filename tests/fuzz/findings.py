"""What fuzzing finds: each fault once, with the bytes that lead to it."""

from __future__ import annotations

import hashlib
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

FOUND = Path(__file__).parent / "found"
"""Those that were mended: replayed by every `make test`."""


@dataclass
class Findings:
    """Faults by the place where they came to light; the input of each first one is kept in ``folder``."""

    folder: Path
    counts: Counter = field(default_factory=Counter)
    runs: int = 0

    def add(self, fuzzer: str, data: bytes, error: BaseException) -> None:
        """Count a fault, and keep its input if it is a new one."""
        place = place_of(error)
        self.counts[fuzzer, place] += 1
        if self.counts[fuzzer, place] > 1:
            return
        name = f"{hashlib.sha256(data).hexdigest()[:12]}"
        where = self.folder / fuzzer
        where.mkdir(parents=True, exist_ok=True)
        (where / name).write_bytes(data)
        (where / f"{name}.txt").write_text(
            "".join(traceback.format_exception(error)), "utf-8", "backslashreplace"
        )
        print(f"FOUND {fuzzer}/{name}: {place}: {ascii(error)[:300]}", flush=True)

    def told(self) -> str:
        """One line for a log."""
        return f"{self.runs} runs, {len(self.counts)} findings ({self.counts.total()} times)"


def place_of(error: BaseException) -> str:
    """The kind of an error and the line of ours that it is from: two with the same are one fault."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if "/meshctl/" in each.filename or "/fuzz/" in each.filename]
    return (
        f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}"
        if own
        else type(error).__name__
    )


def kept() -> list[tuple[str, Path]]:
    """(fuzzer, file of its bytes) of all that were mended."""
    return [(path.parent.name, path) for path in sorted(FOUND.glob("*/*")) if not path.suffix]

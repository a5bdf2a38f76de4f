"""Fuzz for long: `python -m tests.fuzz --seconds 600 structured pki`, with `--coverage` guided by it (needs atheris).

Findings are told once each, and their inputs kept in `--findings`; `--replay FILE` runs one again. A line a minute
says how far it is. The exit code is 1 when anything was found.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.findings import Findings

SIZE = 160
"""Bytes that decide a run; what they lack is drawn from a fixed sequence."""

MINUTE = 60.0


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", help="fuzzers; all if left out")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--coverage", action="store_true", help="be guided by coverage, one fuzzer at a time")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--corpus", type=Path, help="where inputs that reach something new are kept")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--replay", type=Path)
    options = parser.parse_args()
    if options.coverage:
        return _guided(options)
    from tests.fuzz.findings import Findings
    from tests.fuzz.fuzzers import FUZZERS, once

    with tempfile.TemporaryDirectory(prefix="meshctl-fuzz-") as folder:
        if options.replay:
            once(options.names[0], options.replay.read_bytes(), Path(folder))
            return 0
        found = Findings(options.findings)
        seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
        _random(options.names or list(FUZZERS), seed, options.seconds, found, Path(folder))
    print(f"fuzz: seed {seed}: {found.told()}")
    return int(bool(found.counts))


def _random(names: list[str], seed: int, seconds: float, found: Findings, folder: Path) -> None:
    draw, began = random.Random(seed), time.monotonic()
    told = began
    while (now := time.monotonic()) < began + seconds:
        _one(names[found.runs % len(names)], draw.randbytes(SIZE), found, folder)
        if now > told + MINUTE:
            told = now
            print(f"fuzz: {now - began:.0f} s: {found.told()}", flush=True)


def _one(name: str, data: bytes, found: Findings, folder: Path) -> None:
    from tests.fuzz.fuzzers import once

    found.runs += 1
    try:
        once(name, data, folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        found.add(name, data, error)


def _guided(options: argparse.Namespace) -> int:
    """By atheris, which counts what each input reaches in meshctl, and changes those that reach something new."""
    import atheris

    with atheris.instrument_imports(include=["meshctl"]):
        # All of it at once: what is imported later is not counted.
        for module in pkgutil.walk_packages(importlib.import_module("meshctl").__path__, "meshctl."):
            importlib.import_module(module.name)
    from tests.fuzz.findings import Findings

    (name,) = options.names
    found = Findings(options.findings)
    folder = Path(tempfile.mkdtemp(prefix="meshctl-fuzz-"))
    told = time.monotonic()

    def run(data: bytes) -> None:
        nonlocal told
        _one(name, data, found, folder)
        if time.monotonic() > told + MINUTE:
            told = time.monotonic()
            print(f"fuzz: {name}: {found.told()}", flush=True)

    corpus = options.corpus or folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number in range(50):
            (corpus / f"first-{number}").write_bytes(random.Random(number).randbytes(SIZE))
    flags = [
        f"-max_total_time={options.seconds:.0f}",
        f"-max_len={SIZE * 4}",
        "-rss_limit_mb=4000",
        "-timeout=60",
    ]
    flags += [f"-seed={options.seed}"] if options.seed else []
    flags += ["-print_final_stats=1", "-len_control=0", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Denominators: what the unavoidable parts of the work cost on this machine, now.

As a program, so that the memory of measuring is not that of the benchmark: it prints one JSON object with
seconds of processor time, medians of five rounds.
    python -m benchmarks.yardstick SPEC [OUT] [--ruamel]
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT, cost


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Seconds of processor time."""

    start: float
    """S: starting Python to do nothing."""
    events: float = 0.0
    """Y: walking the YAML events of the spec into dicts with the positions of keys."""
    dump: float = 0.0
    """J: encoding the built JSON with orjson."""
    write: float = 0.0
    """W: writing the built bytes to fresh files."""
    round_trip: float = 0.0
    """ruamel.yaml's round-trip load of the spec, the loader that keeps comments."""


def start(runs: int) -> float:
    """S, measured now."""
    return cost(["-c", "pass"], runs=runs).cpu


def measure(spec: Path, out: Path | None = None, *, round_trip: bool = False, runs: int = 15) -> Yardstick:
    """All that ``spec``, and what was built from it, give a measure for."""
    arguments = [str(spec), *([str(out)] if out else []), *(["--ruamel"] if round_trip else [])]
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.yardstick", *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    return Yardstick(start=start(runs), **json.loads(told.stdout))


def _median(work: Callable[[], object], rounds: int = 5) -> float:
    seconds = []
    for _ in range(rounds):
        began = time.process_time()
        kept = work()
        seconds.append(time.process_time() - began)
        del kept
        gc.collect()
    return statistics.median(seconds)


def _walk(content: bytes) -> tuple[Any, dict[int, Any]]:
    """The least that a loader with positions and a check for duplicate keys can do."""
    from yaml import events as kinds
    from yaml.cyaml import CParser

    following = CParser(content).get_event
    positions: dict[int, Any] = {}
    scalar, mapping = kinds.ScalarEvent, kinds.MappingStartEvent
    mapping_end, sequence_end = kinds.MappingEndEvent, kinds.SequenceEndEvent

    def node(event: Any) -> Any:  # noqa: ANN401 - the parser has no types
        kind = type(event)
        if kind is scalar:
            return event.value
        if kind is mapping:
            found: dict[str, Any] = {}
            places = positions[id(found)] = {}
            while type(key := following()) is not mapping_end:
                if key.value in found:
                    raise ValueError(key.value)
                places[key.value] = (key.start_mark.line, key.start_mark.column)
                found[key.value] = node(following())
            return found
        items: list[Any] = []
        while type(item := following()) is not sequence_end:
            items.append(node(item))
        return items

    following()
    following()
    return node(following()), positions


def _dump(out: Path) -> float:
    import orjson

    documents = [orjson.loads(path.read_bytes()) for path in sorted(out.rglob("*.json"))]
    return _median(lambda: [orjson.dumps(each, option=orjson.OPT_INDENT_2) for each in documents])


def _write(out: Path) -> float:
    contents = [path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()]
    fresh = out.with_name(f"{out.name}.yardstick")

    def work() -> None:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        for nth, content in enumerate(contents):
            (fresh / str(nth)).write_bytes(content)

    seconds = _median(work)
    shutil.rmtree(fresh)
    return seconds


def _round_trip(text: str) -> float:
    from ruamel.yaml import YAML

    gc.enable()
    return _median(lambda: YAML().load(text), rounds=1)


def main() -> None:
    """Print the figures for one spec, and for what was built from it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("spec", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--ruamel", action="store_true")
    arguments = parser.parse_args()
    content = arguments.spec.read_bytes()
    gc.disable()
    told = {"events": _median(lambda: _walk(content))}
    if arguments.out:
        told |= {"dump": _dump(arguments.out), "write": _write(arguments.out)}
    if arguments.ruamel:
        told["round_trip"] = _round_trip(content.decode())
    print(json.dumps(told))


if __name__ == "__main__":
    main()

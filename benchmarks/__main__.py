"""Measure meshctl against its targets, and what features cost a request: make bench, or python -m benchmarks.

Every target is a multiple of work measured in the same run (see yardstick.py), so that the table means the same on
a slow machine and on a busy one. Figures are seconds of processor time; the wall clock stands beside them.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import linear_regression

from benchmarks import comparing, generate, load, request_path, sidecars, traffic
from benchmarks.children import ROOT, cost
from benchmarks.table import Row, render, seconds
from benchmarks.yardstick import Yardstick, measure, start

SMALL = (10, 100)
MIDDLE = 1_000
LARGE = 10_000
ROUTE_TESTS = 10_000
PROFILES = ("default", "strict", "fallacies", "minimal")

QUICK, THOROUGH = 2, 7
"""Rounds behind each figure about traffic."""


def meshctl(*arguments: str | Path) -> list[str]:
    """The arguments of Python that run meshctl, by the script that users run."""
    return [str(Path(sys.executable).with_name("meshctl")), *map(str, arguments)]


class Bench:
    """One run of all measurements, in a folder of its own."""

    def __init__(self, folder: Path, runs: int) -> None:
        self._folder = folder
        self._runs = runs

    def start(self) -> Iterator[Row]:
        """What a command costs that has nothing to do."""
        bare = start(self._runs * 3)
        yield Row("python -c pass (S)", bare, "s", "")
        for flag, times in (("--version", 1.3), ("--help", 3.0)):
            measured = cost(meshctl(flag), runs=self._runs * 3)
            yield seconds(f"meshctl {flag}", measured, f"≤ {times} S", times * bare)

    def of_size(self, services: int) -> Iterator[Row]:
        """Validate and build a mesh of that many services; each is for one proxy of three."""
        spec = self._spec(services, "mesh", generate.mesh(services))
        out = self._folder / f"out-{services}"
        runs = self._runs if services <= MIDDLE else 1
        validated = cost(meshctl("validate", spec), runs=runs)
        built = cost(
            meshctl("build", spec, "-o", out, "--verify", "none"),
            runs=runs,
            before_each=lambda: shutil.rmtree(out, ignore_errors=True),
        )
        linted = [*self._lint(services, spec, validated.cpu)] if services == MIDDLE else []
        yard = measure(spec.with_suffix(".yaml"), out, round_trip=services == MIDDLE)
        name = f"{services:,} services"
        yield from _denominators(name, yard)
        yield seconds(f"validate, {name}", validated, *_validate_target(services, yard))
        if yard.round_trip:
            operation = f"validate against ruamel round trip, {name}"
            yield Row(operation, validated.cpu, "s", "≤ a tenth of it", yard.round_trip / 10)
        yield from linted
        yield seconds(f"build, {name}", built, *_build_target(services, yard))
        if services >= MIDDLE:
            yield _memory(name, services, max(validated.megabytes, built.megabytes))
        yield from self._again(services, spec, out, yard, built.cpu)
        yield Row(f"mean bundle, {name}", _mean_bundle(out), "kB", "")

    def _lint(self, services: int, spec: Path, validated: float) -> Iterator[Row]:
        """Validating is half of what may be used; `strict` has all rules."""
        for profile in PROFILES:
            measured = cost(
                meshctl("lint", spec, "--profile", profile, "--fail-on", "never"), runs=self._runs
            )
            yield seconds(
                f"lint --profile {profile}, {services:,} services", measured, "≤ 2 validate", 2 * validated
            )

    def _again(self, services: int, spec: Path, out: Path, yard: Yardstick, cold: float) -> Iterator[Row]:
        """The same build again, then with one service changed."""
        build = meshctl("build", spec, "-o", out, "--verify", "none")
        kept = {"XDG_CACHE_HOME": str(self._folder / "cache"), "MESHCTL_NO_CACHE": ""}
        before = _stamps(out)
        runs = self._runs if services <= MIDDLE else 1
        unchanged = cost(build, runs=runs, environment=kept)
        times = 25 if services > MIDDLE else 4
        name = f"{services:,} services"
        yield seconds(f"build, no change, {name}", unchanged, f"≤ {times} S", times * yard.start)
        yield Row(f"files touched, no change, {name}", len(_stamps(out) - before), "files", "none", 0)

        texts = [generate.mesh(services), generate.mesh(services, changed=(services // 2,))]

        def change() -> None:
            texts.reverse()
            _write(spec, texts[0])

        before = _stamps(out)
        changed = cost(build, runs=runs | 1, before_each=change, environment=kept)
        yield seconds(f"build, one service changed, {name}", changed, "≤ 0.4 cold builds", 0.4 * cold)
        touched = {path.relative_to(out).parent.parts[:1] for path, _, _ in _stamps(out) - before} - {()}
        concerned = 1 + texts[0].count(f"      svc-{services // 2}: ")
        operation = f"bundles rewritten, one service changed, {name}"
        yield Row(operation, len(touched), "", "itself and its callers", concerned)

    def diff(self, services: int) -> Iterator[Row]:
        """Three services changed in the work tree, ten in each file; and the same as a commit, for two revisions."""
        folder = self._folder / f"diff-{services}"
        (folder / "mesh").mkdir(parents=True)
        changed = (services // 4, services // 2, services - 1)
        self._save(folder, generate.mesh(services))
        _git(folder, "init", "-q")
        _git(folder, "add", ".")
        _git(folder, "commit", "-qm", "one")
        self._save(folder, generate.mesh(services, changed=changed))
        yard = measure(folder.with_suffix(".yaml"))
        within = [meshctl("diff", *sides, "--fail-on", "limit") for sides in (["HEAD"], ["HEAD~1", "HEAD"])]
        against = cost(within[0], runs=self._runs, folder=folder)
        _git(folder, "commit", "-qam", "two")
        between = cost(within[1], runs=self._runs, folder=folder)
        target = 2 * yard.events + 15 * yard.start
        name = f"3 changed of {services:,} services"
        yield seconds(f"diff with the work tree, {name}", against, "≤ 2 Y + 15 S", target)
        yield seconds(f"diff of two revisions, {name}", between, "≤ 2 Y + 15 S", target)

    def _save(self, folder: Path, text: str) -> None:
        folder.with_suffix(".yaml").write_text(text, encoding="utf-8")  # for the yardstick
        for name, part in generate.files(text, 10).items():
            (folder / "mesh" / name).write_text(part, encoding="utf-8")

    def unrelated(self, services: int) -> Iterator[Row]:
        """Services that nobody calls change nothing for the others."""
        outs = []
        for more in (0, services):
            spec = self._spec(services, f"unrelated-{more}", generate.mesh(services, unrelated=more))
            outs.append(self._folder / f"unrelated-{more}")
            cost(meshctl("build", spec, "-o", outs[-1], "--verify", "none"), runs=1)
        names = {path.relative_to(outs[0]) for path in (outs[0]).glob("svc-*/**/*") if path.is_file()}
        differ = sum((outs[0] / name).read_bytes() != (outs[1] / name).read_bytes() for name in names)
        yield Row(f"files changed by {services:,} unrelated services", differ, "files", "none", 0)

    def route_tests(self, services: int) -> Iterator[Row]:
        """Requests with expectations, none of which needs a proxy."""
        text = generate.mesh(services)
        spec = self._spec(services, "tested", text)
        (spec / "bench.test.yaml").write_text(generate.route_tests(text, ROUTE_TESTS), encoding="utf-8")
        operation = f"{ROUTE_TESTS:,} route tests, {services:,} services"
        yield seconds(operation, cost(meshctl("test", spec), runs=self._runs), "≤ 5 s", 5)

    def _spec(self, services: int, name: str, text: str) -> Path:
        path = self._folder / f"{name}-{services}"
        path.mkdir()
        _write(path, text)
        return path


def _write(folder: Path, text: str) -> None:
    folder.with_suffix(".yaml").write_text(text, encoding="utf-8")  # for the yardstick
    for name, part in generate.files(text).items():
        (folder / name).write_text(part, encoding="utf-8")


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


def _denominators(name: str, yard: Yardstick) -> Iterator[Row]:
    yield Row(f"YAML events (Y), {name}", yard.events, "s", "")
    yield Row(f"JSON dump (J), {name}", yard.dump, "s", "")
    yield Row(f"write (W), {name}", yard.write, "s", "")


def _sources() -> set[tuple[Path, int]]:
    folders = [ROOT / "meshctl", ROOT / "templates"]
    return {
        (path, path.stat().st_mtime_ns)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def _validate_target(services: int, yard: Yardstick) -> tuple[str, float]:
    if services < MIDDLE:
        times = 25 if services == SMALL[0] else 30
        return f"≤ {times} S", times * yard.start
    factor = 2.5 if services == MIDDLE else 2.0
    return f"≤ {factor} Y + 15 S", factor * yard.events + 15 * yard.start


def _build_target(services: int, yard: Yardstick) -> tuple[str, float]:
    if services < MIDDLE:
        times = 30 if services == SMALL[0] else 40
        return f"≤ {times} S", times * yard.start
    parts = yard.events + yard.dump + yard.write
    return "≤ 3 (Y + J + W) + 15 S", 3 * parts + 15 * yard.start


def _memory(name: str, services: int, megabytes: float) -> Row:
    limit = 200 if services == MIDDLE else 700
    return Row(f"peak memory, {name}", megabytes, "MB", f"≤ {limit} MB", limit)


def _stamps(out: Path) -> set[tuple[Path, int, int]]:
    return {(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in out.rglob("*") if path.is_file()}


def _mean_bundle(out: Path) -> float:
    bundles = [folder for folder in out.iterdir() if folder.is_dir()]
    size = sum(path.stat().st_size for folder in bundles for path in folder.rglob("*") if path.is_file())
    return size / len(bundles) / 1000


def _growth(rows: list[Row], smaller: int, larger: int) -> Iterator[Row]:
    figures = {row.operation: row.figure for row in rows}
    ratio = figures[f"mean bundle, {larger:,} services"] / figures[f"mean bundle, {smaller:,} services"]
    yield Row(f"mean bundle, {larger:,} against {smaller:,}", ratio, "times", "≤ 1.05", 1.05)
    ratio = figures[f"build, {larger:,} services"] / figures[f"build, {smaller:,} services"]
    yield Row(f"build time, {larger:,} against {smaller:,}", ratio, "times", "≤ 12", 12)


def _growth_power(rows: list[Row], sizes: Sequence[int]) -> Iterator[Row]:
    """To which power of the services that come on top of the fewest their cost grows: 1 is linear."""
    figures = {row.operation: row.figure for row in rows}
    fewest, *others = sizes
    for operation in ("validate", "build"):
        least = figures[f"{operation}, {fewest:,} services"]
        more = [max(figures[f"{operation}, {each:,} services"] - least, 1e-3) for each in others]
        if len(more) > 1:
            logarithms = [
                [math.log(each) for each in these] for these in ([n - fewest for n in others], more)
            ]
            power = linear_regression(*logarithms).slope
            yield Row(
                f"{operation}, growth to {sizes[-1]:,} services", power, "power", "≤ 1.08 (12 for 10)", 1.08
            )


def main() -> int:
    """Print the tables; 0 whatever the verdicts, for a busy machine is no failure."""
    if sys.argv[1:2] == ["compare"]:
        return _compare(sys.argv[2:])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure meshctl against its targets."
    )
    parser.add_argument("--large", action="store_true", help="10,000 services too (minutes)")
    parser.add_argument("--quick", action="store_true", help="10 and 100 services only, and few requests")
    parser.add_argument("--only", choices=("compiler", "traffic", "features"), help="one of the tables")
    parser.add_argument("--runs", type=int, default=3, help="runs behind each median (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    arguments = parser.parse_args()
    told: list[dict[str, object]] = []
    rounds = QUICK if arguments.quick else THOROUGH
    if arguments.only in {None, "compiler"}:
        told += _compiler(arguments)
    if arguments.only != "compiler" and not shutil.which(load.PROGRAM):
        parser.error(f"there is no {load.PROGRAM} on this machine: apt-get install nghttp2-client")
    if arguments.only in {None, "traffic"}:
        told += _request_path(rounds)
    if arguments.only in {None, "features"}:
        told += _features(rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


def _request_path(rounds: int) -> list[dict[str, object]]:
    """What a sidecar adds to a request, beside one written by hand."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="meshctl-bench-") as folder:
        for each in request_path.measure(Path(folder), sidecars.installed(), rounds):
            told = f"measured {each.configuration}, {each.routes} routes, {each.connections} connections"
            print(f"{told}, on {each.proxy}", file=sys.stderr)
            figures.append(each)
    print(request_path.render(figures))
    return [asdict(each) for each in figures]


def _features(rounds: int) -> list[dict[str, object]]:
    """What features cost a request."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="meshctl-bench-") as folder:
        for each in traffic.measure(Path(folder), sidecars.installed(), rounds):
            print(f"measured {each.feature} on {each.proxy}", file=sys.stderr)
            figures.append(each)
    print(traffic.render(figures))
    return [asdict(each) for each in figures]


def _compare(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks compare", description="Two results side by side; 0 whatever got slower."
    )
    parser.add_argument("before", type=Path, help="what --json wrote")
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args(words)
    ratios = comparing.compare(comparing.read(arguments.before), comparing.read(arguments.after))
    print(comparing.render(tuple(ratios)), end="")
    return 0


def _compiler(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """What commands cost, against their targets."""
    sizes = (*SMALL, *(() if arguments.quick else (MIDDLE,)), *((LARGE,) if arguments.large else ()))
    rows: list[Row] = []
    measured = _sources()
    with tempfile.TemporaryDirectory(prefix="meshctl-bench-") as folder:
        bench = Bench(Path(folder), arguments.runs)
        rows += bench.start()
        for services in sizes:
            print(f"measuring {services:,} services …", file=sys.stderr)
            rows += bench.of_size(services)
        rows += bench.diff(SMALL[-1] if arguments.quick else MIDDLE)
        rows += bench.unrelated(SMALL[-1])
        rows += bench.route_tests(SMALL[-1])
    if arguments.large:
        rows += _growth(rows, MIDDLE, LARGE)
    rows += _growth_power(rows, sizes)
    print(render(rows))
    if _sources() != measured:
        print("meshctl was edited meanwhile: the rows compare different programs", file=sys.stderr)
    return [{**asdict(row), "verdict": row.verdict} for row in rows]


if __name__ == "__main__":
    sys.exit(main())

"""Two results of the benchmarks side by side: only what got slower against the work of its own run counts."""

import json

from benchmarks import __main__ as program
from benchmarks import comparing
from benchmarks.table import Row


def row(operation, figure, unit="s", limit=None):
    return {"operation": operation, "figure": figure, "unit": unit, "limit": limit}


def test_each_figure_counts_in_the_measure_of_its_own_run(tmp_path, capsys, monkeypatch):
    before = [
        row("on a machine half as fast", 1.0, limit=2.0),
        row("slower", 1.0, limit=1.0),
        row("without a limit", 4.0),
        row("files touched", 0, "files", 0),
        row("peak memory", 100.0, "MB", 200),
        row("gone", 1.0),
        {"feature": "what a request costs", "proxy": "envoy"},
    ]
    after = [
        row("on a machine half as fast", 2.0, limit=4.0),
        row("slower", 1.2, limit=1.0),
        row("without a limit", 4.4),
        row("files touched", 3, "files", 0),
        row("peak memory", 116.0, "MB", 200),
        row("new", 1.0),
    ]
    for name, rows in (("before", before), ("after", after)):
        (tmp_path / name).write_text(json.dumps(rows))
    found = comparing.compare(comparing.read(tmp_path / "before"), comparing.read(tmp_path / "after"))
    assert [(each.operation, each.is_regression) for each in found] == [
        ("on a machine half as fast", False),
        ("slower", True),
        ("without a limit", False),
        ("files touched", True),
        ("peak memory", True),
    ]
    monkeypatch.setattr(
        "sys.argv", ["benchmarks", "compare", str(tmp_path / "before"), str(tmp_path / "after")]
    )
    assert program.main() == 0
    told = capsys.readouterr().out.splitlines()
    assert told[2].split() == ["slower", "1.000", "1.200", "1.20", "slower"]
    assert told[-1] == "3 of 5 cost over 15% more"


def test_growth_is_a_power_of_the_services_whatever_the_start_costs():
    sizes = (10, 100, 1_000)
    rows = [
        Row(f"{operation}, {each:,} services", 0.4 + (each - 10) ** power / 1000, "s", "")
        for operation, power in (("validate", 1), ("build", 1.5))
        for each in sizes
    ]
    found = {row.operation: (round(row.figure, 3), row.verdict) for row in program._growth_power(rows, sizes)}
    assert found == {
        "validate, growth to 1,000 services": (1.0, "met"),
        "build, growth to 1,000 services": (1.5, "missed"),
    }
    assert list(program._growth_power(rows, sizes[:2])) == []

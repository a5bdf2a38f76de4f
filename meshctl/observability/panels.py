"""The parts of a Grafana dashboard, in the words of its schema (version 36, which Grafana 10.1 and later read)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

Part = dict[str, object]

SCHEMA_VERSION = 36
_COLUMNS = 24
_SOURCE: Part = {"type": "prometheus", "uid": "${datasource}"}


class Query(Struct, frozen=True):
    """PromQL, and what a series of its answer is called; with ``instant`` only the newest value is asked for."""

    expression: str
    legend: str = "__auto"
    instant: bool = False


class Panel(Struct, frozen=True):
    """``kind`` and ``unit`` are Grafana's names; ``width`` is one of 24 columns. ``limits`` colour what is at or above them."""

    title: str
    kind: str
    unit: str
    queries: tuple[Query, ...]
    description: str
    width: int = 8
    height: int = 8
    limits: tuple[tuple[float, str], ...] = ()


def dashboard(
    uid: str, title: str, variables: Iterable[Part], rows: Iterable[tuple[str, tuple[Panel, ...]]]
) -> Part:
    """The whole, which Grafana imports as it is."""
    return {
        "uid": uid,
        "title": title,
        "description": "Made by `meshctl observe`; changes are lost when it is made again.",
        "tags": ["meshctl"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "templating": {"list": [_source_variable(), *variables]},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_placed(rows)),
    }


def variable(name: str, label: str, query: str) -> Part:
    """A choice among what Prometheus knows."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "skipUrlSync": False,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "variable"},
        "refresh": 2,
        "sort": 1,
        "regex": "",
    }


def _source_variable() -> Part:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Prometheus",
        "skipUrlSync": False,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
    }


def _placed(rows: Iterable[tuple[str, tuple[Panel, ...]]]) -> Iterator[Part]:
    """Rows one below the other, panels from left to right, and to the next line where there is no room."""
    identifier, top = 0, 0
    for title, panels in rows:
        identifier += 1
        yield {
            "type": "row",
            "id": identifier,
            "title": title,
            "collapsed": False,
            "gridPos": {"h": 1, "w": _COLUMNS, "x": 0, "y": top},
            "panels": [],
        }
        top, left, tallest = top + 1, 0, 0
        for panel in panels:
            identifier += 1
            if left + panel.width > _COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            yield _panel(panel, identifier, {"h": panel.height, "w": panel.width, "x": left, "y": top})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest


def _panel(panel: Panel, identifier: int, place: Part) -> Part:
    return {
        "type": panel.kind,
        "id": identifier,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": [_target(panel, each, index) for index, each in enumerate(panel.queries)],
        "fieldConfig": {"defaults": {"unit": panel.unit, "thresholds": _thresholds(panel)}, "overrides": []},
        "options": _OPTIONS[panel.kind],
    }


def _target(panel: Panel, query: Query, index: int) -> Part:
    return {
        "refId": chr(ord("A") + index),
        "datasource": _SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
        "instant": query.instant,
        "range": not query.instant,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def _thresholds(panel: Panel) -> Part:
    steps = [
        {"value": None, "color": "green"},
        *({"value": value, "color": color} for value, color in panel.limits),
    ]
    return {"mode": "absolute", "steps": steps}


_OPTIONS: dict[str, Part] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "background",
        "graphMode": "area",
        "justifyMode": "auto",
        "textMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
    },
    "table": {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"},
}

"""`prometheus.yml` and `targets.json`: where Prometheus finds the sidecars.

Targets stand in a file of their own, which Prometheus reads again when it changes.
https://prometheus.io/docs/prometheus/latest/configuration/configuration/
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from meshctl.artifacts import Artifact, Document
from meshctl.ir.observability import Observed, ScrapeLookup, Watched
from meshctl.observability import alerts, recording
from meshctl.observability.rules import MADE

PATH = "prometheus.yml"
TARGETS = "targets.json"
_JOB = "meshctl"


def emit(observed: Observed) -> Iterator[Artifact | Document]:
    """The two files."""
    looked_up = [
        _looked_up(observed.mesh, each.service, each.lookup)
        for each in observed.watched
        if each.lookup is not None and not each.targets
    ]
    jobs = [_job(_JOB, {"file_sd_configs": [{"files": [TARGETS]}]}), *looked_up]
    content = {
        "global": {"scrape_interval": "15s", "scrape_timeout": "10s", "evaluation_interval": "15s"},
        "rule_files": [recording.PATH, alerts.PATH],
        "scrape_configs": jobs,
    }
    yield Document(PATH, (MADE, "Paths are relative to this file."), content)
    groups = [group for each in observed.watched for group in _groups(observed.mesh, each)]
    yield Artifact(TARGETS, orjson.dumps(groups, option=orjson.OPT_INDENT_2) + b"\n")


def _job(name: str, discovery: dict[str, object]) -> dict[str, object]:
    # The sidecars' own labels say whose they are, and go before those of the target.
    return {"job_name": name, "honor_labels": True, "metrics_path": "/metrics", "scheme": "http", **discovery}


def _looked_up(mesh: str, service: str, lookup: ScrapeLookup) -> dict[str, object]:
    """A job of its own, because what DNS tells has no labels of ours."""
    query: dict[str, object] = {"names": [lookup.name], "type": "SRV"}
    if not lookup.srv:
        query |= {"type": "A", "port": lookup.port}
    relabel: list[object] = [
        {"target_label": name, "replacement": value}
        for name, value in (("job", _JOB), ("mesh", mesh), ("service", service))
    ]
    if lookup.srv:
        # The records tell where other sidecars reach it.
        port = {
            "source_labels": ["__address__"],
            "regex": "(.+):[0-9]+",
            "replacement": f"${{1}}:{lookup.port}",
        }
        relabel.append(port | {"target_label": "__address__"})
    return _job(f"{_JOB}/{service}", {"dns_sd_configs": [query], "relabel_configs": relabel})


def _groups(mesh: str, watched: Watched) -> Iterator[dict[str, object]]:
    """One for each zone."""
    for zone in sorted({each.zone for each in watched.targets}):
        yield {
            "targets": [str(each.address) for each in watched.targets if each.zone == zone],
            "labels": {"mesh": mesh, "service": watched.service, **({"zone": zone} if zone else {})},
        }

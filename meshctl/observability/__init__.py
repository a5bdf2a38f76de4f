"""What those who watch a mesh need: each part is a function from the observed mesh to files. They decide nothing."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.artifacts import Artifact, Document
from meshctl.ir.observability import Observed
from meshctl.observability import alerts, dashboards, recording, rule_tests, scraping


def emit(observed: Observed) -> Iterator[Artifact | Document]:
    """Every file. Pure: the same mesh, the same bytes."""
    yield from scraping.emit(observed)
    yield recording.emit(observed)
    yield alerts.emit(observed)
    yield rule_tests.emit(observed)
    yield from dashboards.emit(observed)

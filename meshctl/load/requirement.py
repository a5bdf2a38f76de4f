"""`mesh.requires`: the versions of meshctl that may read this spec."""

from __future__ import annotations

from meshctl import __version__
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.load.text import brief
from meshctl.spec import Source


def unmet(source: Source, version: str = __version__) -> Finding | None:
    """The finding for a spec that excludes ``version``; None for one that does not, or says nothing readable.

    Asked of the raw spec, for one that is written for another version may have keys that this one does
    not know. PEP 440 decides.
    """
    written = source["mesh"]["requires"].node
    if not isinstance(written, str):
        return None
    from packaging.specifiers import SpecifierSet

    try:
        admitted = SpecifierSet(written).contains(version, prereleases=True)
    except ValueError:  # not specifiers, which the schema tells; or a number of thousands of digits
        return None
    if admitted:
        return None
    at = source["mesh"].value_at("requires")
    message = f"this spec requires meshctl {brief(written)}, and this is {version}"
    fix = "Use a version of meshctl that it admits, or let `mesh.requires` admit this one."
    return finding("unsupported-version", at, message, fix=fix)

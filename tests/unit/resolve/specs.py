"""Specs from YAML text, for tests that begin where the user begins."""

from __future__ import annotations

import textwrap

from meshctl import ir
from meshctl.load import read_spec
from meshctl.load.shape import shape
from meshctl.resolve import Resolution, resolve
from meshctl.spec import Source, Spec

HEAD = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example%s}
"""


def read(folder, text: str, mesh: str = "") -> Spec:
    """The spec that ``text`` (without its head) holds; it must have the right shape."""
    path = folder / "mesh.yaml"
    path.write_text(HEAD % mesh + textwrap.dedent(text))
    found = read_spec(str(path))
    assert not found.findings, found.findings
    source = Source(found.positions, found.data)
    written, faults = shape(source)
    assert written is not None, faults
    return Spec(written, source)


def resolved(folder, text: str, mesh: str = "") -> ir.Mesh:
    """The mesh; the spec must be without errors."""
    resolution = resolve(read(folder, text, mesh))
    assert resolution.mesh is not None, resolution.findings
    return resolution.mesh


def slugs(resolution: Resolution) -> list[str]:
    return [each.slug for each in resolution.findings]


def sidecar(mesh: ir.Mesh, service: str) -> ir.Sidecar:
    return next(each for each in mesh.sidecars if each.service == service)

"""What is deployed, as a spec of git's: what a change from there means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl import ir, manifest
from meshctl.artifacts import Artifact
from meshctl.diagnostics import UsageError
from meshctl.manifest import Manifest
from meshctl.pipeline.building import emit
from meshctl.pipeline.checking import Validated, validate
from meshctl.pipeline.drifting import require_same

if TYPE_CHECKING:
    from meshctl.diff import FileChange
    from meshctl.load.by_digest import Found


class DeployedSpec(Struct, frozen=True):
    """A deployed folder, and the spec that it was built from where git has it."""

    root: Path
    digest: str
    """Of the spec, as the manifest names it."""
    spec: Validated | None
    """What it was built from; None where no commit at hand has it."""
    shallow: bool
    """Whether that may be so because the clone ends before that commit."""
    found: Found | None
    """The commit, None where it is the very spec that was asked about."""
    bundles: Mapping[str, tuple[str, str]]
    """By bundle its deployed build and the one that is wanted, each empty where there is none; those alone that differ."""
    strays: tuple[str, ...]
    """Bundles of another build than ``spec`` gives: of an earlier build, left alone by `build --service`."""


def deployed_spec(folder: Path, after: Validated, location: str) -> DeployedSpec:
    """What ``folder`` was built from, beside the spec at ``location``, which is ``after``.

    Raises UsageError for what is no deployed folder, or one of another mesh or environment, and FindingsError.
    """
    mesh = after.require()
    root, _ = manifest.locate(folder)
    said = manifest.read(root)
    require_same(said, mesh, after.environment, root)
    spec, found = (after, None) if said.spec == after.digest else _from_git(said, after, location)
    built = {name: each.build for name, each in said.bundles.items()}
    wanted = _builds(mesh)
    differing = {
        name: (built.get(name, ""), wanted.get(name, ""))
        for name in sorted(built.keys() | wanted.keys())
        if built.get(name) != wanted.get(name)
    }
    shallow = spec is None and _is_shallow()
    its = _builds(spec.require()) if spec else built
    strays = tuple(name for name in sorted(built) if built[name] != its.get(name))
    return DeployedSpec(root, said.spec, spec, shallow, found, differing, strays)


def _is_shallow() -> bool:
    from meshctl.load import revision

    return revision.is_shallow()


def _builds(mesh: ir.Mesh) -> dict[str, str]:
    from meshctl.targets.bundle import folder

    return {folder(each): each.build for each in mesh.sidecars}


def _from_git(said: Manifest, after: Validated, location: str) -> tuple[Validated | None, Found | None]:
    from meshctl.load import by_digest

    named = tuple(after.spec.files) if after.spec else ()
    try:
        found = by_digest.find(location, said.spec, after.environment, named)
    except UsageError:
        # No repository, or the spec is in none.
        return None, None
    if found is None:
        return None, None
    spec = validate(found.commit.location, environment=after.environment)
    return (spec, found) if spec.mesh is not None and spec.digest == said.spec else (None, None)


def deployed_files(root: Path, after: Validated) -> tuple[FileChange, ...]:
    """The files that a deployment of ``after`` changes in ``root``, as they are there now. Raises UsageError and OSError."""
    from meshctl.diff import compare_artifacts
    from meshctl.inspection import content

    said = manifest.read(root)
    there = [
        Artifact(path, found.data, found.executable)
        for path in said.files
        if (found := content(root, path, said.bundles)) is not None
    ]
    return tuple(compare_artifacts(there, emit(after.require())))

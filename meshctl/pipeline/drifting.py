"""What is deployed and what runs, against what the spec says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from meshctl import __version__, ir, manifest
from meshctl.artifacts import own_files
from meshctl.diagnostics import UsageError
from meshctl.inspection import Deviation, bundle_of, inspect
from meshctl.manifest import Manifest
from meshctl.pipeline.building import emit
from meshctl.pipeline.checking import Validated
from meshctl.pipeline.deploying import PLATFORMS
from meshctl.pipeline.observing import OBSERVABILITY
from meshctl.pipeline.segmenting import SEGMENTATION
from meshctl.suggestions import nearest

if TYPE_CHECKING:
    from meshctl.pipeline.asking_builds import Expected

NOT_KNOWN = "not-known"


class Deployed(Struct, frozen=True):
    """One sidecar: the build that git says, the one that its files are of, and the one that it serves; empty where nobody says."""

    bundle: str
    proxy: str
    admin: str
    wanted: str = ""
    deployed: str = ""
    served: str = ""


class Drift(Struct, frozen=True):
    """``bundles`` are those that were looked at, ``deviations`` what is not as it should be, in order of bundles."""

    bundles: tuple[Deployed, ...]
    deviations: tuple[Deviation, ...]
    folder: Path | None

    @property
    def exit_code(self) -> int:
        """1 where something drifted, 2 where no more than that cannot be told, else 0."""
        slugs = {each.slug for each in self.deviations}
        return 1 if slugs - {NOT_KNOWN} else 2 if slugs else 0


def drift(
    validated: Validated | None, folder: Path | None, *, only: Sequence[str] = (), live: bool = False
) -> Drift:
    """Compare the bundles in ``folder`` and, with ``live``, the sidecars that run with each other and with a spec.

    Without a spec the manifest's word is all there is. ``only`` names services or bundles. Raises UsageError,
    FindingsError when the spec has errors, and OSError.
    """
    mesh = validated.require() if validated else None
    found: Manifest | None = None
    root, inside = folder, ""
    if folder is not None:
        root, inside = manifest.locate(folder)
        found = manifest.read(root)
        require_same(found, mesh, validated.environment if validated else None, root)
    bundles = _bundles(mesh, found)
    scope = _scope(bundles, [*only, *([inside] if inside else [])])
    # What was copied to a host is what the host has.
    chosen = {name: each for name, each in bundles.items() if not scope or name in scope}
    deviations: list[Deviation] = []
    if root is not None and found is not None:
        deviations += inspect(root, found, scope & found.bundles.keys(), _claimed(root))
        deviations += _against_git(mesh, found, chosen.values())
    if live:
        served, running = _ask(mesh, found, root, chosen)
        chosen = {name: replace(each, served=served.get(name, "")) for name, each in chosen.items()}
        deviations += running
    order = sorted(deviations, key=lambda each: each.bundle)
    return Drift(tuple(chosen[name] for name in sorted(chosen)), tuple(order), root)


def require_same(found: Manifest, mesh: ir.Mesh | None, environment: str | None, root: Path) -> None:
    """Raises UsageError where the folder ``root`` holds another mesh, or what was built with another environment."""
    if mesh is None:
        return
    if found.mesh != mesh.name:
        raise UsageError(f"{root} holds the mesh {found.mesh!r}, and the spec is of {mesh.name!r}")
    if found.environment != (environment or ""):
        said = f"--env {found.environment}" if found.environment else "no --env"
        raise UsageError(f"{root} was built with {said}; ask with the same")


def _bundles(mesh: ir.Mesh | None, found: Manifest | None) -> dict[str, Deployed]:
    """Every sidecar of the spec and of the manifest, by the folder of its bundle."""
    from meshctl.targets.bundle import folder

    known: dict[str, Deployed] = {}
    for sidecar in mesh.sidecars if mesh else ():
        name = folder(sidecar)
        known[name] = Deployed(name, sidecar.proxy.value, str(sidecar.admin.bind), wanted=sidecar.build)
    for name, entry in (found.bundles if found else {}).items():
        wanted = known[name].wanted if name in known else ""
        # A build says where it listens, whatever else a manifest says.
        says = known[name].admin if wanted == entry.build else ""
        admin = says or entry.admin or (known[name].admin if name in known else "")
        known[name] = Deployed(name, entry.proxy, admin, wanted, entry.build)
    return known


def _scope(bundles: Mapping[str, Deployed], only: Iterable[str]) -> frozenset[str]:
    """The bundles that are meant; none for all. Raises UsageError for a name that is nothing here."""
    meant: set[str] = set()
    for name in only:
        its = {each for each in bundles if each == name or each.startswith(f"{name}/")}
        if not its:
            close = nearest(name, sorted({*bundles, *(each.partition("/")[0] for each in bundles)}))
            raise UsageError(
                f"there is no bundle of {name!r}" + (f"; did you mean `{close}`?" if close else "")
            )
        meant |= its
    return frozenset(meant)


def _claimed(root: Path) -> Collection[str]:
    """What other commands wrote into the same folder."""
    claimed: set[str] = set()
    for name in (SEGMENTATION, PLATFORMS, OBSERVABILITY):
        files = own_files(root, name=name)
        claimed |= {*files, name} if files else set()
    return claimed


def _against_git(mesh: ir.Mesh | None, found: Manifest, chosen: Iterable[Deployed]) -> Iterator[Deviation]:
    from meshctl.pipeline.asking_builds import short

    if mesh is None:
        return
    same = []
    for each in chosen:
        if not each.deployed:
            yield Deviation("missing-bundle", "", "git has it, and the folder does not", each.bundle)
        elif not each.wanted:
            yield Deviation("unknown-bundle", "", "the folder has it, and git does not", each.bundle)
        elif each.wanted != each.deployed:
            message = f"its files are of {short(each.deployed)}, and git says {short(each.wanted)}"
            yield Deviation("outdated-bundle", "", message, each.bundle)
        else:
            same.append(each.bundle)
    yield from _altered(mesh, found, same)


def _altered(mesh: ir.Mesh, found: Manifest, same: Sequence[str]) -> Iterator[Deviation]:
    """Bundles of the right build of which the manifest says what that build does not have."""
    from meshctl.targets.bundle import folder

    sidecars = {folder(each): each for each in mesh.sidecars}
    made = {each.path: each.file for each in emit(mesh, sorted({each.partition("/")[0] for each in same}))}
    by = (
        ""
        if found.meshctl == __version__
        else f" (meshctl {found.meshctl} wrote it, and this is {__version__})"
    )
    of = {bundle: dict[str, manifest.File]() for bundle in same}
    for path, file in made.items():
        if bundle := bundle_of(path, of):
            of[bundle][path.removeprefix(f"{bundle}/")] = file
    for bundle, wanted in of.items():
        said, sidecar = found.bundles[bundle], sidecars[bundle]
        other = said.proxy != sidecar.proxy or said.admin not in ("", str(sidecar.admin.bind))
        if other or _released(wanted) != _released(found.files_of(bundle)):
            message = f"the manifest says other files, or another address, than this build has{by}"
            yield Deviation("altered-bundle", "", message, bundle)


def _released(files: Mapping[str, manifest.File]) -> dict[str, manifest.File]:
    """Without the mark that git keeps ``run`` for: `meshctl apply` leaves that folder to the sidecar, and lists nothing of it."""
    return {path: file for path, file in files.items() if not path.startswith(f"{manifest.RUN}/")}


def _ask(
    mesh: ir.Mesh | None, found: Manifest | None, root: Path | None, chosen: Mapping[str, Deployed]
) -> tuple[dict[str, str], list[Deviation]]:
    from meshctl.pipeline import asking_builds

    name = mesh.name if mesh else found.mesh if found else ""
    expected: list[Expected] = []
    unknown: list[Deviation] = []
    for each in chosen.values():
        where = manifest.address_and_port(each.admin)
        if where is None:
            message = "its manifest does not say where it is asked; build anew, or ask with the spec"
            unknown.append(Deviation(NOT_KNOWN, "", message, each.bundle))
        elif found is None or each.deployed:
            folder = root / each.bundle if root is not None else None
            expected.append(
                asking_builds.Expected(
                    each.bundle,
                    name,
                    each.proxy,
                    ir.SocketAddress(*where),
                    each.wanted,
                    each.deployed,
                    folder,
                )
            )
    served, deviations = asking_builds.ask(expected)
    return served, [*unknown, *deviations]

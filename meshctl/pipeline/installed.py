"""What a host has: its bundles, as a folder of them and its manifest say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import orjson

from meshctl import manifest
from meshctl.diagnostics import UsageError
from meshctl.ir import Proxy
from meshctl.live import disk
from meshctl.live.releases import Place, Release
from meshctl.manifest import MANIFEST, RELEASES, RUN, BundleEntry, Manifest
from meshctl.pipeline.exchanging import Restart


def require_mesh(target: Path, said: Manifest) -> None:
    """Raises UsageError where a target holds the bundles of another mesh."""
    own = _manifest(target)
    if own is not None and own.mesh != said.mesh:
        raise UsageError(f"{target} holds bundles of the mesh {own.mesh!r}, and these are of {said.mesh!r}")


def in_order(said: Manifest, chosen: Sequence[str], target: Path) -> tuple[BundleEntry, ...]:
    """The bundles to put live: those named, as they are named, or all that the target has, callees first. Raises UsageError."""
    if not chosen:
        found = [each for each in said.bundles.values() if (target / each.folder).is_dir()]
        if not found:
            raise UsageError(
                f"{target} has none of the bundles in this build; name those of this host with --service"
            )
        return tuple(callees_first(found))
    named: dict[str, BundleEntry] = {}
    for name in chosen:
        own = [each for each in said.bundles.values() if name in (each.folder, each.folder.partition("/")[0])]
        if not own:
            raise UsageError(f"the build has no bundle `{name}`: {', '.join(sorted(said.bundles)[:20])}")
        named |= {each.folder: each for each in own}
    return tuple(named.values())


def callees_first(entries: Iterable[BundleEntry]) -> Iterator[BundleEntry]:
    """Bundles so that whoever is called comes first; in a circle of calls, by name."""
    by_service: dict[str, list[BundleEntry]] = {}
    for each in sorted(entries, key=lambda entry: entry.folder):
        by_service.setdefault(each.folder.partition("/")[0], []).append(each)
    seen: set[str] = set()
    for service in by_service:
        # Depth first without recursion: a mesh may be a chain of thousands.
        stack = [(service, iter(by_service[service][0].calls))] if service not in seen else []
        seen.add(service)
        while stack:
            own, rest = stack[-1]
            callee = next((each for each in rest if each in by_service and each not in seen), None)
            if callee is None:
                stack.pop()
                yield from by_service[own]
            else:
                seen.add(callee)
                stack.append((callee, iter(by_service[callee][0].calls)))


def entries(target: Path) -> tuple[BundleEntry, ...]:
    """Every bundle of a target that was put there by an apply. Raises UsageError where there is none."""
    folders = (path.parent for depth in ("*", "*/*") for path in sorted(target.glob(f"{depth}/{RELEASES}")))
    found = []
    for folder in folders:
        place = Place(folder)
        release = None
        # What is wrong with it is said of it alone, when it has its turn.
        with contextlib.suppress(UsageError):
            release = place.current or place.good
        name = str(folder.relative_to(target))
        found.append(
            BundleEntry(name, release.proxy, release.build, release.admin)
            if release
            else BundleEntry(name, "", "")
        )
    if not found:
        raise UsageError(f"nothing was applied to {target} yet")
    return tuple(found)


def before(place: Place, entry: BundleEntry) -> Release | None:
    """What is in place: a release, or files of others' making with what the target's manifest says of them."""
    if (current := place.current) is not None:
        return current
    own = _manifest(place.folder.parents[entry.folder.count("/")])
    listed = own.bundles.get(entry.folder) if own else None
    if listed is not None:
        return Release(listed.proxy, listed.build, listed.admin)
    # Copied there without its manifest.
    names = (each.value for each in Proxy if (place.folder / each.value / "reload").exists())
    proxy = next(names, None)
    return Release(proxy, "", "") if proxy else None


def files(target: Path, entry: BundleEntry) -> tuple[str, ...]:
    """What the target's manifest lists of a bundle."""
    own = _manifest(target)
    listed = own.files_of(entry.folder) if own else ()
    return tuple(path for path in listed if not path.startswith(f"{RUN}/"))


def note(target: Path, built: Path, entry: BundleEntry) -> None:
    """Let the target's manifest say of a bundle what that of the build says. Raises OSError."""
    new = manifest.read_document(built / MANIFEST)
    start = f"{entry.folder}/"
    own: dict[str, dict[str, object]] = {"builds": {}, "files": {}}
    with contextlib.suppress(FileNotFoundError):
        own = manifest.read_document(target / MANIFEST)
    kept = {path: file for path, file in own["files"].items() if not path.startswith(start)}
    ours = {
        path: file
        for path, file in new["files"].items()
        if path.startswith(start) and not path.startswith(f"{start}{RUN}/")
    }
    builds = own["builds"] | {entry.folder: new["builds"][entry.folder]}
    said = new | {
        "proxies": own.get("proxies", {}) | new["proxies"],
        "builds": dict(sorted(builds.items())),
        "files": dict(sorted((kept | ours).items())),
    }
    content = orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n"
    path = target / MANIFEST
    if not path.exists() or path.read_bytes() != content:
        disk.replace(path, content, 0o644)


def restart(argv: Sequence[str], target: Path, entry: BundleEntry) -> Restart | None:
    """The command that starts a bundle's sidecar anew; its environment says which."""
    if not argv:
        return None
    service, _, instance = entry.folder.partition("/")
    variables = {
        "MESHCTL_SERVICE": service,
        "MESHCTL_INSTANCE": instance,
        "MESHCTL_BUNDLE": str((target / entry.folder).resolve()),
        "MESHCTL_PROXY": entry.proxy,
    }
    return Restart(tuple(argv), variables)


def _manifest(target: Path) -> Manifest | None:
    return manifest.read(target) if (target / MANIFEST).exists() else None

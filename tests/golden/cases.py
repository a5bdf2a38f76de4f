"""What a golden case is: a folder with ``mesh.yaml``, and in ``expected/`` all that comes of it."""

from __future__ import annotations

import contextlib
import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from meshctl import ir, pipeline
from meshctl.artifacts import Artifact
from meshctl.cli import findings

ROOT = Path(__file__).resolve().parent
# Said once already: tests/unit/targets holds what they are made of, and identities.json what is in identity.json.
SAID_ELSEWHERE = re.compile(r".*/envoy/check\.json|.*/reload|[^/]+(/[^/]+)?/identity\.json")

CASES = sorted(path.parent for path in ROOT.glob("*/mesh.yaml"))


_VERSION = re.compile(rb'("version_info": "sha256:)[0-9a-f]{64}')


def made(case: Path) -> dict[str, Artifact]:
    """Everything that comes of a case, by its path below ``expected/``."""
    with contextlib.chdir(case):
        return {each.path: each for each in _made()}


def _made() -> Iterator[Artifact]:
    written = pipeline.validate("mesh.yaml")
    told = {"as written": written}
    if written.mesh is not None:
        yield Artifact("ir.json", _stable(pipeline.resolved_json(written.mesh).encode(), written.mesh))
        for proxy in ir.Proxy:
            validated = told[proxy] = pipeline.validate("mesh.yaml", proxy=proxy)
            if validated.mesh is not None:
                yield from _emitted(proxy, validated.mesh)
    text = "".join(f"== {name}\n{_text(validated)}" for name, validated in told.items() if validated.findings)
    if text:
        yield Artifact("diagnostics.txt", text.encode())


def _emitted(proxy: ir.Proxy, mesh: ir.Mesh) -> Iterator[Artifact]:
    for each in pipeline.emit(mesh):
        # Who the sidecars are does not depend on what they are.
        if SAID_ELSEWHERE.fullmatch(each.path):
            continue
        if each.path != pipeline.IDENTITIES:
            yield Artifact(f"{proxy}/{each.path}", _stable(each.content, mesh), each.executable)
        elif proxy is ir.Proxy.ENVOY:
            yield each


def _stable(content: bytes, mesh: ir.Mesh) -> bytes:
    """Without build ids and digests, which change with every field of the model and would drown a real change in review."""
    for each in mesh.sidecars:
        name = f"{each.service}/{each.instance}".rstrip("/")
        content = content.replace(each.build.encode(), f"sha256:(build of {name})".encode())
    return _VERSION.sub(rb"\1(digest)", content)


def _text(validated: pipeline.Validated) -> str:
    out = io.StringIO()
    findings.show(validated.findings, validated.texts, "text", to=out)
    return out.getvalue()


def expected(case: Path) -> dict[str, Artifact]:
    """What is in ``expected/``."""
    folder = case / "expected"
    return {
        str(path.relative_to(folder)): Artifact(
            str(path.relative_to(folder)), path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rewrite(case: Path, artifacts: dict[str, Artifact]) -> None:
    """Bring ``expected/`` to hold exactly ``artifacts``."""
    folder = case / "expected"
    for path in expected(case).keys() - artifacts.keys():
        (folder / path).unlink()
    for path, artifact in artifacts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(artifact.content)
        (folder / path).chmod(0o755 if artifact.executable else 0o644)
    for left in sorted(folder.rglob("*"), reverse=True):
        if left.is_dir() and not any(left.iterdir()):
            left.rmdir()

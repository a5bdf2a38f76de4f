"""`history` and `blame` of repositories in which others wrote the specs, the names and the dates."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from tests.fuzz import mutation
from tests.fuzz.chance import Chance
from tests.fuzz.folders import state
from tests.fuzz.judging import command, plain
from tests.fuzz.mutation import ODD
from tests.fuzz.seeds import Node, seeds

_MARKS = re.compile("[\0\n<>]")
"""What git itself takes from nobody."""
_DATES = ("0", "1", "1767225600", "253402300800", "99999999999", "9223372036854775807", "-1")
_ZONES = ("+0000", "-1200", "+1400", "+9999", "-0001")
_FILES = ("mesh.yaml", "mesh.yaml", "mesh.yaml", "mesh/a.yaml", "mesh/\u202e.yaml", "environments/prod.yaml")
_EMPTY = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def tell(chance: Chance, folder: Path) -> None:
    """An answer in words that can be shown, whatever the commits hold, and the repository stays as it is."""
    folder.mkdir(parents=True)
    spec = _repository(chance, folder)
    names = [str(each) for part in ("services", "gateways", "externals") for each in _keys(spec.get(part))]
    what = chance.choice(names or ["web"])
    if chance.once_in(6):
        what = chance.choice(ODD).replace("\0", "")
    words = [chance.choice(("history", "history", "blame")), f"--format={chance.choice(('text', 'json'))}"]
    if chance.once_in(4):
        words.append(f"--since={chance.choice((*ODD, 'HEAD~1', '2026-01-01', '0000-00-00', '--all', 'HEAD^{tree}'))}".replace("\0", ""))  # fmt: skip
    words.append(f"--spec={chance.choice(('HEAD:mesh.yaml', 'HEAD:mesh.yaml', 'HEAD:mesh', 'HEAD:', 'HEAD~1:mesh.yaml', 'HEAD:mesh.yaml/x'))}")  # fmt: skip
    before, here = state(folder), Path.cwd()
    os.chdir(folder)
    try:
        code, told = command([*words, "--", what], folder, share=6, starts=("git",), errors_apart=True)
    finally:
        os.chdir(here)
    assert state(folder) == before
    if code == 0 and words[1] == "--format=json":
        json.loads(told)


def _keys(section: Node) -> list[Node]:
    return list(section) if isinstance(section, dict) else []


def _repository(chance: Chance, folder: Path) -> Node:
    """Some commits, each of a spec changed anew; the last spec."""
    seed = chance.choice(seeds())
    spec = seed.nodes["mesh.yaml"]
    stream = []
    for number in range(1 + chance.randrange(4)):
        if number:
            spec = mutation.mutated(seed, chance, sound=not chance.once_in(3))["mesh.yaml"]
        content = plain(spec).encode("utf-8", "surrogatepass")
        if chance.once_in(8):
            content = chance.choice(
                (b"", b"\xff\xfe", b"\0" * 99, b"a: &a [*a]", content[: len(content) // 2])
            )
        stream.append(_commit(chance, content))
    environment = {**_EMPTY, "GIT_DIR": str(folder / ".git")}
    for words, given in (
        (("init", "-q", "-b", "main"), b""),
        (("fast-import", "--quiet", "--force"), b"".join(stream)),
    ):
        subprocess.run(
            ["git", *words], input=given, check=True, capture_output=True, cwd=folder, env=environment
        )
    return spec if isinstance(spec, dict) else {}


def _commit(chance: Chance, content: bytes) -> bytes:
    who = f"{_text(chance)} <{_text(chance)}> {chance.choice(_DATES[:4])} {chance.choice(_ZONES[:3])}"
    subject = _text(chance).encode("utf-8", "surrogatepass")
    path = chance.choice(_FILES)
    mode = chance.choice(("100644", "100644", "100644", "100755", "120000"))
    head = f"commit refs/heads/main\nauthor {who}\ncommitter {who}\n".encode("utf-8", "surrogatepass")
    lost = b"deleteall\n" if chance.once_in(8) else b""
    return b"".join((head, _data(subject), lost, f"M {mode} inline {path}\n".encode(), _data(content)))


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _text(chance: Chance) -> str:
    return _MARKS.sub("", chance.choice((*ODD, "n", "n@example.com", "\x1b[2J", "a\r\tb", "x" * 3000)))

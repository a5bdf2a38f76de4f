"""One function for each way in: it makes an input by chance, hands it in, and raises where a promise is broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from meshctl import ir
from tests.fuzz import (
    applying,
    baselines,
    carried,
    changes,
    drifting,
    enrolment,
    fixes,
    histories,
    meaning,
    mutation,
    outputs,
    pki_files,
    quoting,
    surroundings,
)
from tests.fuzz.chance import Chance
from tests.fuzz.judging import command, plain, validated, write
from tests.fuzz.mutation import ODD
from tests.fuzz.seeds import ROOT, Node, Seed, parsed, seeds

SNIPPETS = (
    *"abcs:-?,[]{}#&*!|>'\"%@`\\ \n\t\r\0~=<.",
    *(": ", "- ", "? ", "\n  ", "\n    ", "&a ", "*a ", "!!str ", "!x ", "<<: ", "---\n", "...\n", "%TAG ! x\n", "%YAML 1.1\n"),
    *("\\x1b", "\\ud800", "é", "🦀", "\u2028", "\ufeff", "null", "|2\n", ">-\n", "\r\n", "{a: b}", "[a, b]", "'", '"', "\x85"),
    *("apiVersion: meshctl.dev/v1\n", "mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}\n", "services:\n", "  web: "),
    *("{port: 8080, endpoints: [{address: 10.0.0.1}], calls: {web: {}}}\n", "routes: [{name: a}]", "timeout: ", "mesh", "name: "),
)  # fmt: skip


def raw_bytes(chance: Chance, folder: Path) -> None:
    """Files of anything, in places of a spec: bytes, pieces of YAML, and written specs with some bytes changed."""
    files = {}
    for name in chance.sample(
        ("mesh.yaml", "b.yml", "c/d.yaml", "environments/prod.yaml"), 1 + chance.randrange(3)
    ):
        files[name] = _text(chance)
    write(folder, {}, files)
    validated(folder, "prod" if chance.once_in(3) else None)
    if chance.once_in(8):
        command(["validate", str(folder), "--format", chance.choice(_FORMATS)], folder, share=2)


_FORMATS = ("text", "json", "sarif", "junit", "gitlab", "github")


def _text(chance: Chance) -> bytes:
    match chance.randrange(3):
        case 0:
            return "".join(chance.choice(SNIPPETS) for _ in range(chance.randrange(60))).encode(
                "utf-8", "surrogatepass"
            )
        case 1:
            text = bytearray(plain(chance.choice(seeds()).nodes["mesh.yaml"]).encode())
            for _ in range(1 + chance.randrange(8)):
                where = chance.randrange(len(text) + 1)
                piece = (
                    chance.choice(SNIPPETS).encode() if chance.once_in(2) else bytes([chance.randrange(256)])
                )
                text[where : where + chance.randrange(4)] = piece
            return bytes(text)
        case _:
            return chance.rest(4096)


def structured(chance: Chance, folder: Path) -> None:
    """A written spec with parts changed: validated, and where it is sound built for every proxy and read again."""
    seed = chance.choice(seeds())
    files = mutation.mutated(seed, chance, sound=not chance.once_in(3))
    write(folder / "spec", files, seed.blobs)
    found = validated(folder / "spec")
    if found is None or found.mesh is None:
        return
    proxy = chance.choice((None, *ir.Proxy))
    chosen = validated(folder / "spec", proxy=proxy) if proxy else found
    if chosen is not None and chosen.mesh is not None:
        outputs.check_build(chosen, folder / "out")
        # Drawn last, so that the inputs that were kept mean what they did.
        if outputs.PROXIES_ARE_ASKED and chance.once_in(10):
            outputs.check_proxies(chosen, folder / "asked")


def same_meaning(chance: Chance, folder: Path) -> None:
    """A spec written otherwise (order, style, anchors, comments, in several files) compiles to the same builds."""
    seed = chance.choice(seeds())
    files = mutation.mutated(seed, chance, sound=True)
    write(folder, files, seed.blobs)
    found = validated(folder)
    if found is not None and found.mesh is not None:
        meaning.check(found.mesh, files, seed, chance, folder)


def injected(chance: Chance, folder: Path) -> None:
    """A text with all kinds of signs in it changes nothing but itself in what is written for a proxy."""
    outputs.check_injection(chance, folder)


def environments(chance: Chance, folder: Path) -> None:
    """An environment merged over a spec, both changed."""
    seed = chance.choice(seeds())
    files = {name: node for name, node in seed.nodes.items() if not name.startswith("environments")}
    over = mutation.mutated(Seed("over", {"prod.yaml": _part(seed.nodes["mesh.yaml"], chance)}, {}), chance)
    write(folder, {**files, "environments/prod.yaml": over["prod.yaml"]}, seed.blobs)
    validated(folder, "prod")


def _part(node: Node, chance: Chance) -> Node:
    if isinstance(node, dict):
        kept = {key: _part(below, chance) for key, below in node.items() if not chance.once_in(3)}
        return {key: None if chance.once_in(12) else below for key, below in kept.items()}
    return node


def requests(chance: Chance, folder: Path) -> None:
    """`explain request` for any URL, method and headers."""
    seed = _written(chance, folder)
    services = sorted(seed.nodes["mesh.yaml"].get("services", {})) + sorted(
        seed.nodes["mesh.yaml"].get("gateways", {})
    )
    caller = chance.choice(("nobody", "", *ODD)) if chance.once_in(8) else chance.choice(services or ["web"])
    url = _url(chance, services)
    arguments = ["explain", "request", f"--spec={folder}", f"--from={caller}"]
    if chance.once_in(3):
        arguments += [f"-X{chance.choice(('GET', 'POST', 'get', 'G T', '', *ODD))}"]
    for _ in range(chance.randrange(3)):
        arguments.append(
            f"-H{chance.choice(('x-beta: true', 'host: catalog', 'x-a:', 'cookie: a=b', 'authorization: Bearer x'))}"
        )
    if chance.once_in(12):
        arguments.append(f"-H{chance.choice(ODD)}: {chance.choice(ODD)}")
    if chance.once_in(4):
        arguments.append(f"--then={chance.choice(('', 'POST ', 'x: '))}{_url(chance, services)}")
    arguments += [f"--format={chance.choice(('text', 'json', 'mermaid'))}", url]
    _without_nulls(arguments, folder)


def _url(chance: Chance, services: list[str]) -> str:
    scheme = chance.choice(("http://", "http://", "http://", "https://", "", "HTTP://", "tcp://"))
    host = (
        chance.choice(ODD)
        if chance.once_in(4)
        else chance.choice((*services, *services, "catalog", "api.stripe.com"))
    )
    path = (
        chance.choice(ODD)
        if chance.once_in(3)
        else chance.choice(("/", "/v2/x?page=1", "/admin", "?", "#", "/a?b=c&b"))
    )
    port = chance.choice((":80", ":0", ":x", ".", "@x")) if chance.once_in(4) else ""
    return scheme + host + port + path + (chance.choice(ODD) if chance.once_in(3) else "")


def _without_nulls(arguments: list[str], folder: Path, share: float = 2) -> None:
    # No program can be given such an argument.
    command([each.replace("\0", "") for each in arguments], folder, share=share)


def _written(chance: Chance, folder: Path) -> Seed:
    seed = chance.choice(seeds())
    write(folder, seed.nodes, seed.blobs)
    return seed


def settings(chance: Chance, folder: Path) -> None:
    """`explain` of any path of settings."""
    seed = _written(chance, folder)
    paths = [path for path in mutation.scalars(seed.nodes["mesh.yaml"]) if path]
    words = [str(each) for each in chance.choice(paths)]
    for _ in range(chance.randrange(3)):
        words[chance.randrange(len(words))] = chance.choice((*ODD, "timeout", "retries", "routes", "0"))
    word = ".".join(words) if len(words) > 1 else f"{words[0]}."
    _without_nulls(
        ["explain", f"--spec={folder}", f"--format={chance.choice(('text', 'json'))}", word], folder
    )


def route_tests(chance: Chance, folder: Path) -> None:
    """`test` with changed files of tests."""
    shop = next(each for each in seeds() if each.name == "shop")
    tests = mutation.mutated(
        Seed("tests", {"shop.test.yaml": shop.nodes["shop.test.yaml"]}, {}),
        chance,
        sound=not chance.once_in(3),
    )
    spec = mutation.mutated(shop, chance) if chance.once_in(6) else shop.nodes
    write(folder, {**spec, **tests}, shop.blobs)
    command(["test", str(folder)], folder, share=3)


def policies(chance: Chance, folder: Path) -> None:
    """`lint` with changed policies of the team's own."""
    seed = chance.choice(seeds())
    write(folder / "spec", seed.nodes, seed.blobs)
    written = parsed(chance.choice(sorted((ROOT / "policies").glob("*.yaml"))).read_bytes())
    own = mutation.mutated(
        Seed("own", {"own.yaml": written | {"code": "ACME0001", "slug": "own"}}, {}), chance
    )
    node = own["own.yaml"]
    if isinstance(node, dict) and chance.once_in(2):
        node.pop("check", None)
        node["assert"] = _expression(chance)
        node["select"] = {
            "kind": chance.choice(("service", "call", "mesh", "route")),
            "where": _expression(chance),
        }
        node["params"] = {"limit": chance.choice(("9", "a", "2s", "true"))}
    write(folder / "own", own, {})
    command(["lint", str(folder / "spec"), "--policies", str(folder / "own")], folder, share=3)


_WORDS = (
    *("service", "call", "mesh", "route", "service.name", "service.callers", "call.timeout", "params.limit", "size(", "ms(", "svc(", "callers("),
    *("==", "!=", "<", "&&", "||", "!", "in", "+", "*", "-", "/", "?", ":", "(", ")", "[", "]", "{", "}", ",", "."),
    *("true", "false", "null", "1", "0", "-1", "9223372036854775807", "1.5", "'a'", '"2s"', "b'x'", "has(", ".all(x, ", ".exists(x, ", ".map(x, "),
    *("matches(", ".matches('(a+)+$')", "x", "type(", "dyn(", "duration(", "timestamp(", "'" + "a" * 300 + "'", "[1,2,3]", "range(", "é", "\n"),
)  # fmt: skip


def _expression(chance: Chance) -> str:
    return chance.choice(("", " ")).join(chance.choice(_WORDS) for _ in range(1 + chance.randrange(16)))


FUZZERS: Mapping[str, Callable[[Chance, Path], None]] = {
    "bytes": raw_bytes,
    "structured": structured,
    "meaning": same_meaning,
    "injected": injected,
    "environments": environments,
    "requests": requests,
    "settings": settings,
    "route-tests": route_tests,
    "policies": policies,
    "baseline": baselines.compare,
    "diff": changes.compare,
    "fix": fixes.fix,
    "pki": pki_files.read,
    "enrolment": enrolment.enrol,
    "carried": carried.carry,
    "reach": surroundings.reach,
    "segment": surroundings.segment,
    "bundle": surroundings.bundle,
    "manifest": outputs.manifests,
    "quoting": quoting.check,
    "apply": applying.put,
    "drift": drifting.look,
    "history": histories.tell,
}
"""By the names that `python -m tests.fuzz` takes."""


def once(name: str, data: bytes, folder: Path) -> None:
    """One run of a fuzzer with what ``data`` decides, in a folder of its own."""
    try:
        FUZZERS[name](Chance(data), folder / name)
    finally:
        shutil.rmtree(folder / name, ignore_errors=True)

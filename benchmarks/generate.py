"""Synthetic meshes of any size, the same for the same seed: python -m benchmarks.generate 1000 > mesh.yaml

The call graph is heavy-tailed in both directions: a few services are called by very many, a few call very many.
Features stand in about the shares in which meshes use them.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Collection, Iterator
from itertools import cycle

PROXIES = ("envoy", "haproxy", "nginx")
ZONES = ("eu-1a", "eu-1b", "eu-1c")
_MOST_CALLS = 40
_MOST_ENDPOINTS = 12
_SERVICES_A_FILE = 1000
_HEADER = """\
apiVersion: meshctl.dev/v1
mesh:
  name: bench
  domain: bench.mesh
  trustDomain: bench.example
  mtls: {mode: strict}
  authorization: {mode: declared}
defaults:
  timeout: 5s
  retries: {attempts: 1, retryOn: [connect-failure]}
services:
"""


def mesh(services: int, *, seed: int = 1, changed: Collection[int] = (), unrelated: int = 0) -> str:
    """The YAML of a mesh; the applications of those ``changed`` have moved, and callers grant them another time.

    ``unrelated`` more services call each other only.
    """
    parts = [_HEADER]
    parts += _services(services, "svc", seed, 0, changed)
    parts += _services(unrelated, "other", seed + 1, services, ())
    return "".join(parts)


def route_tests(text: str, count: int) -> str:
    """A file of ``count`` route tests of the mesh in ``text``, which all pass: each pair of caller and callee in turn."""
    lines, caller = [], ""
    for line in text.splitlines():
        if service := re.match(r"  (\S+):$", line):
            caller = service[1]
        elif call := re.match(r"      ((?:svc|other)-\d+):", line):
            lines.append((caller, call[1]))
    tests = (
        f"  - {{name: test {nth}, request: {{from: {caller}, url: 'http://{callee}/items/{nth}?page=1'}}, "
        f"expect: {{status: 200, path: /items/{nth}}}}}\n"
        for nth, (caller, callee) in zip(range(count), cycle(lines), strict=False)
    )
    return "".join(["tests:\n", *tests])


def files(text: str, services_a_file: int = _SERVICES_A_FILE) -> dict[str, str]:
    """A mesh as a folder holds it: a file may be 4 MiB, which ten thousand services are not in."""
    head, section, services = text.partition("services:\n")
    each = re.split(r"^(?=  \S)", services, flags=re.MULTILINE)[1:]
    parts = {
        f"services-{first // services_a_file}.yaml": section + "".join(each[first : first + services_a_file])
        for first in range(0, len(each), services_a_file)
    }
    return {"mesh.yaml": head, **parts}


def _services(count: int, prefix: str, seed: int, first: int, changed: Collection[int]) -> Iterator[str]:
    draw = random.Random(seed)
    for index in range(count):
        callees = _callees(draw, index, count)
        text = _service(draw, f"{prefix}-{index}", first + index, [f"{prefix}-{each}" for each in callees])
        yield _changed(text) if index in changed else text


def _changed(service: str) -> str:
    key = "\n    timeout: "
    moved = service.replace("port: 8080", "port: 8081")
    return moved.replace(key, f"{key}1") if key in moved else f"{moved}{key[1:]}33s\n"


def _callees(draw: random.Random, index: int, count: int) -> list[int]:
    wanted = min(int(draw.paretovariate(1.3)), _MOST_CALLS, count - 1)
    # The cube makes low numbers popular: a tenth of the services gets half of the calls.
    chosen = {int(count * draw.random() ** 3) for _ in range(wanted)}
    return sorted(chosen - {index})


def _service(draw: random.Random, name: str, number: int, callees: list[str]) -> str:
    subsets = ("v1", "v2") if draw.random() < 0.3 else ()
    lines = [
        f"  {name}:",
        f"    owner: team-{draw.randrange(40)}",
        f"    labels: {{tier: {draw.choice(('edge', 'core', 'data'))}, language: {draw.choice(('go', 'java', 'python'))}}}",
        f"    proxy: {PROXIES[number % len(PROXIES)]}",
        "    port: 8080",
        "    endpoints:",
        *_endpoints(draw, number, subsets),
    ]
    if callees:
        lines += ["    calls:", *(f"      {callee}: {_call(draw)}" for callee in callees)]
    lines += _policy(draw)
    if subsets or draw.random() < 0.25:
        lines += ["    routes:", *_routes(draw, subsets)]
    return "\n".join(lines) + "\n"


def _endpoints(draw: random.Random, number: int, subsets: tuple[str, ...]) -> Iterator[str]:
    count = max(len(subsets), min(1 + int(draw.paretovariate(1.5)), _MOST_ENDPOINTS))
    for nth in range(count):
        host = number * 16 + nth + 1
        address = f"10.{host >> 16}.{host >> 8 & 255}.{host & 255}"
        subset = f", subset: {subsets[nth % len(subsets)]}" if subsets else ""
        weight = ", weight: 2" if draw.random() < 0.1 else ""
        yield f"      - {{address: {address}, zone: {ZONES[nth % len(ZONES)]}{subset}{weight}}}"


def _call(draw: random.Random) -> str:
    kind = draw.random()
    if kind < 0.7:
        return "{}"
    if kind < 0.9:
        return f"{{timeout: {draw.randrange(1, 9)}s}}"
    return f"{{timeout: {draw.randrange(1, 9)}s, retries: {{attempts: 2, retryOn: [connect-failure, gateway-error]}}}}"


def _policy(draw: random.Random) -> Iterator[str]:
    if draw.random() < 0.7:
        yield f"    timeout: {draw.randrange(1, 20)}s"
    if draw.random() < 0.3:
        yield f"    connectTimeout: {draw.randrange(1, 9)}00ms"
    if draw.random() < 0.1:
        yield "    idleTimeout: 10m"
    if draw.random() < 0.4:
        conditions = draw.choice(("connect-failure", "connect-failure, gateway-error"))
        yield f"    retries: {{attempts: {draw.randrange(1, 4)}, retryOn: [{conditions}]}}"


def _routes(draw: random.Random, subsets: tuple[str, ...]) -> Iterator[str]:
    for nth in range(min(int(draw.paretovariate(1.2)), 12)):
        yield f"      - name: route-{nth}"
        yield "        matches:"
        for _ in range(draw.choice((1, 1, 2))):
            yield f"          - {{{', '.join(_match(draw, nth))}}}"
        if subsets and draw.random() < 0.6:
            share = draw.randrange(1, 50)
            yield f"        backends: [{{subset: v2, weight: {share}}}, {{subset: v1, weight: {100 - share}}}]"
        if draw.random() < 0.3:
            yield f"        timeout: {draw.randrange(1, 9)}s"
    backends = ", backends: [{subset: v1}]" if subsets else ""
    yield f"      - {{name: rest{backends}}}"


def _match(draw: random.Random, nth: int) -> Iterator[str]:
    kind = draw.choice(("prefix", "prefix", "exact"))
    yield f"path: {{{kind}: /area-{nth}/{draw.choice(('items', 'users', 'orders'))}-{draw.randrange(100)}}}"
    if draw.random() < 0.3:
        yield f"methods: [{draw.choice(('GET', 'POST', 'GET, HEAD'))}]"
    if draw.random() < 0.2:
        yield f'headers: {{x-variant: "{draw.choice(("beta", "canary", "debug"))}"}}'


def main() -> None:
    """Print a mesh."""
    parser = argparse.ArgumentParser(description="Print a synthetic mesh.")
    parser.add_argument("services", type=int)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(mesh(arguments.services, seed=arguments.seed), end="")


if __name__ == "__main__":
    main()

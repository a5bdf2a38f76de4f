"""Changes of a spec that know its language: most of what comes out still has the right shape, and means something else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

from meshctl.load import language
from tests.fuzz.chance import Chance
from tests.fuzz.seeds import ANY, Node, Path_, Seed, at, pattern, pool, walk

ODD = (
    *("", " ", "0", "-1", "null", "~", "no", "1e9", "0x10", "007", "1.5", "99999999999", "100%", "0%", "0.001%", "0s", "1ms", "24d", "9999d"),
    *("*", "*.", "*.example", ".", "..", "/", "//", "/.", "/a/../b", "/%2f", "/%41", "/%", "/a;b", "/~", "/'", '/"', "/$x", "/{a}", "/a b"),
    *("$", "${x}", "$1", "%", "%%", "%[src]", "%REQ(x)%", "{{ x }}", "{% x %}", "#", ";", "}", "{", "\\", "\\n", "`", "'", '"', "|", "<", ">"),
    *("default", "include", "server", "http-request", "acl", "on", "y", "if", "unless", "end", "]]", "--", "hostnames", "volatile", "__proto__"),
    *("a\nb", "a\rb", "a\tb", "\x00", "\x1b[31m", "\x7f", "\u0085", "\u2028", "\u202egpj", "\ufeff", "é", "🦀", "\u212a", "\u017f"),
    *("a" * 63, "a" * 64, "a" * 255, "a" * 256, "/" + "a" * 300, "a" * 5000, "a.b." * 64, "(" * 300, "(a+)+$", "(?:a|b)*", "[a", "a{999}"),
    *("10.0.0.1", "0.0.0.1", "255.255.255.255", "::", "::1", "fe80::1%eth0", "127.0.0.1:80", "[::1]:80", "localhost", "10.0.0.256", "1"),
    *("../../etc/passwd", "/etc/passwd", "keys/../../x", "file:///etc/passwd", "https://x.example/%00", "spiffe://a/b", "-----BEGIN PRIVATE KEY-----"),
)  # fmt: skip
"""Texts at the edges of what any of the languages on the way takes for plain."""


def mutated(seed: Seed, chance: Chance, *, sound: bool = False) -> dict[str, Node]:
    """The files of ``seed`` after a few changes; with ``sound`` mostly such that leave a spec with a meaning."""
    nodes = copy.deepcopy(seed.nodes)
    for _ in range(1 + chance.randrange(4)):
        name = chance.choice(sorted(nodes))
        change = chance.choice(SOUND if sound and not chance.once_in(8) else CHANGES)
        changed = change(nodes[name], chance)
        nodes[name] = nodes[name] if changed is None else changed
    if chance.once_in(4):
        nodes = {name: _with_proxies(node, chance) for name, node in nodes.items()}
    return nodes


def _path(node: Node, chance: Chance) -> Path_:
    paths = walk(node)
    return chance.choice(paths[1:] or paths)


def _put(node: Node, path: Path_, value: Node) -> Node:
    if not path:
        return value
    at(node, path[:-1])[path[-1]] = value
    return None


def of_its_kind(node: Node, chance: Chance) -> Node:
    """Another part of any seed that stands at a place of the same kind."""
    path = _path(node, chance)
    alike = pool().get(pattern(path)) or [at(node, each) for each in walk(node) if each[-1:] == path[-1:]]
    return _put(node, path, copy.deepcopy(chance.choice(alike)))


def odd_text(node: Node, chance: Chance) -> Node:
    """A text at the edges, in the place of a scalar."""
    paths = [path for path in walk(node) if path and not isinstance(at(node, path), (dict, list))]
    path = chance.choice(paths or [()])
    written = at(node, path)
    text = chance.choice(ODD)
    if isinstance(written, str) and chance.once_in(2):
        cut = chance.randrange(len(written) + 1)
        text = written[:cut] + text + written[cut + chance.randrange(2) :]
    return _put(node, path, text)


def random_text(node: Node, chance: Chance) -> Node:
    """Any text, in the place of a scalar or of a name."""
    text = "".join(
        chr(chance.choice((0x20, 0x40, 0x60, 0xA0, 0x2020)) + chance.randrange(32))
        for _ in range(chance.randrange(12))
    )
    path = _path(node, chance)
    if chance.once_in(3) and path and isinstance(path[-1], str):
        holder = at(node, path[:-1])
        holder[text] = holder.pop(path[-1])
        return None
    return _put(node, path, text)


def left_out(node: Node, chance: Chance) -> Node:
    """Without a part."""
    path = _path(node, chance)
    if path:
        del at(node, path[:-1])[path[-1]]


def one_more_key(node: Node, chance: Chance) -> Node:
    """A key of the language that was not written, with what a seed has there."""
    paths = [path for path in walk(node) if isinstance(at(node, path), dict)]
    if not paths:
        return None
    path = chance.choice(paths)
    holder = at(node, path)
    known = [each for each in language.keys(language.annotation_at(path)) if each not in holder]
    options = [(key, values) for key in known if (values := pool().get((*pattern(path), key)))]
    if options:
        key, values = chance.choice(options)
        holder[key] = copy.deepcopy(chance.choice(values))
        return None
    named = pool().get((*pattern(path), ANY))
    if named:
        holder[chance.choice(("a", "b", "catalog", "web", "x-a", *ODD))] = copy.deepcopy(chance.choice(named))
    return None


def one_more_item(node: Node, chance: Chance) -> Node:
    """An item of a list twice, or another one beside it, or two in each other's place."""
    paths = [path for path in walk(node) if isinstance(at(node, path), list) and at(node, path)]
    if not paths:
        return None
    path = chance.choice(paths)
    items = at(node, path)
    match chance.randrange(3):
        case 0:
            items.append(copy.deepcopy(chance.choice(items)))
        case 1:
            items.append(copy.deepcopy(chance.choice(pool().get((*pattern(path), ANY)) or items)))
        case _:
            first, second = chance.randrange(len(items)), chance.randrange(len(items))
            items[first], items[second] = items[second], items[first]
    return None


def moved(node: Node, chance: Chance) -> Node:
    """A part of the same file somewhere else."""
    source, target = _path(node, chance), _path(node, chance)
    return _put(node, target, copy.deepcopy(at(node, source)))


def renamed(node: Node, chance: Chance) -> Node:
    """A name of the user's, everywhere: what refers to it still does."""
    names = sorted(
        {path[-1] for path in walk(node) if path and pattern(path)[-1] == ANY and isinstance(path[-1], str)}
    )
    if not names:
        return None
    plain = (*names, "a", "default", "a-b", "a" * 63, "server", "x--y")
    old, new = chance.choice(names), chance.choice(ODD if chance.once_in(6) else plain)
    return _renamed(node, old, new)


def _renamed(node: Node, old: str, new: str) -> Node:
    if isinstance(node, dict):
        return {new if key == old else key: _renamed(each, old, new) for key, each in node.items()}
    if isinstance(node, list):
        return [_renamed(each, old, new) for each in node]
    return new if node == old else node


def wrong_shape(node: Node, chance: Chance) -> Node:
    """A list for a mapping, nothing for something, and the like."""
    wrong: tuple[Node, ...] = ({}, [], None, "", [None], {"": None}, [[]], {"a": {}}, "x")
    return _put(node, _path(node, chance), copy.deepcopy(chance.choice(wrong)))


SOUND: tuple[Callable[[Node, Chance], Node], ...] = (
    *(of_its_kind, of_its_kind, of_its_kind, one_more_key, one_more_key, one_more_item, left_out, renamed),
)
"""The kinds of change that leave a spec with a meaning more often than not."""

CHANGES = (*SOUND, odd_text, odd_text, random_text, left_out, moved, wrong_shape)
"""All kinds."""


def _with_proxies(node: Node, chance: Chance) -> Node:
    for path in walk(node):
        if path and path[-1] == "proxy" and isinstance(at(node, path), str):
            at(node, path[:-1])["proxy"] = chance.choice(("envoy", "haproxy", "nginx"))
    return node


def scalars(node: Node) -> Iterator[Path_]:
    """The paths of all texts."""
    return (path for path in walk(node) if isinstance(at(node, path), str))

"""YAML as many hands write it: block and flow style, quotes, indentation, blank lines, and comments everywhere."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator
from typing import Any

Node = Any
COMMENT = re.compile(r"# c\d+ ")
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/_-]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "Null", "True", "False"})


class Hand:
    """Writes nodes, of which every scalar is text or None. Each comment is another one, as ``COMMENT`` finds it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._newline = self._random.choice(("\n", "\n", "\n", "\r\n"))

    def write(self, node: dict[str, Node]) -> str:
        """A document that reads as ``node``."""
        lines = [*self._between(0), *self._block(node, 0), *self._between(0)]
        end = self._newline if self._random.random() < 0.8 else ""
        return self._newline.join(lines) + end

    def _comment(self) -> str:
        return f"# c{next(self._numbers)} it's: [a, {{b"

    def _behind(self) -> str:
        return f"  {self._comment()}" if self._random.random() < 0.25 else ""

    def _between(self, indent: int) -> Iterator[str]:
        while self._random.random() < 0.2:
            yield self._random.choice(("", " " * indent + self._comment()))

    def _block(self, node: Node, indent: int) -> Iterator[str]:
        pad = " " * indent
        if isinstance(node, dict):
            for key, value in node.items():
                yield from self._between(indent)
                yield from self._entry(f"{pad}{self._scalar(key)}:", value, indent)
            return
        for item in node:
            yield from self._between(indent)
            if isinstance(item, dict) and item and self._random.random() < 0.6:
                first, *rest = [line for line in self._items(item, indent + 2) if line is not None]
                yield f"{pad}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{pad}- {self._flow(item)}{self._behind()}"

    def _items(self, item: dict[str, Node], indent: int) -> Iterator[str]:
        for number, (key, value) in enumerate(item.items()):
            if number:
                yield from self._between(indent)
            yield from self._entry(" " * indent + f"{self._scalar(key)}:", value, indent)

    def _entry(self, head: str, value: Node, indent: int) -> Iterator[str]:
        if isinstance(value, dict | list) and value and self._random.random() < 0.6:
            yield head + self._behind()
            step = self._random.choice((0, 2)) if isinstance(value, list) else 2
            yield from self._block(value, indent + step)
        elif isinstance(value, list) and value and self._random.random() < 0.3:
            yield f"{head} ["
            for number, each in enumerate(value):
                comma = "," if number < len(value) - 1 or self._random.random() < 0.5 else ""
                yield f"{' ' * (indent + 4)}{self._flow(each)}{comma}{self._behind()}"
            yield f"{' ' * (indent + 2)}]"
        else:
            yield f"{head} {self._flow(value)}{self._behind()}"

    def _flow(self, node: Node) -> str:
        if isinstance(node, dict):
            blank = self._random.choice(("", " "))
            inside = ", ".join(f"{self._scalar(key)}: {self._flow(value)}" for key, value in node.items())
            return f"{{{blank}{inside}{blank}}}"
        if isinstance(node, list):
            return "[" + self._random.choice((", ", " , ")).join(map(self._flow, node)) + "]"
        return "~" if node is None else self._scalar(str(node))

    def _scalar(self, text: str) -> str:
        ways = [json.dumps(text, ensure_ascii=False)]
        if "\n" not in text and text.isprintable():
            ways.append("'" + text.replace("'", "''") + "'")
        if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
            ways += [text] * 6
        return self._random.choice(ways)

"""DER as a tree of elements, so that a change leaves all lengths around it right and gets past the first parser."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fuzz.chance import Chance

_TAGS = (
    0x02,
    0x03,
    0x04,
    0x05,
    0x06,
    0x0C,
    0x13,
    0x16,
    0x17,
    0x18,
    0x1E,
    0x30,
    0x31,
    0x80,
    0x82,
    0x86,
    0xA0,
    0xA3,
    0xFF,
)
_CONTENTS = (b"", b"\0", b"\xff" * 40, b"-1", b"\x80", b"*.example", b"web\0.shop", b"\x1b[31m", b"99991231235959Z", b"500101000000Z", b"a" * 3000)  # fmt: skip
_CONSTRUCTED = 0x20
_SHORT = 0x80
_DEEPEST = 20


@dataclass
class Element:
    """A tag, and either what is in it or its bytes."""

    tag: int
    below: list[Element] | None
    content: bytes = b""

    def encoded(self) -> bytes:
        content = self.content if self.below is None else b"".join(each.encoded() for each in self.below)
        return bytes([self.tag]) + _length(len(content)) + content


def mutated(der: bytes, chance: Chance) -> bytes:
    """The same with a few elements changed, taken away, doubled or exchanged."""
    try:
        (top,) = _parsed(der, 0)
    except (ValueError, IndexError):
        return der
    for _ in range(1 + chance.randrange(3)):
        holder, at = chance.choice(_places(top))
        _change(holder, at, chance)
    return top.encoded()


def _change(holder: list[Element], at: int, chance: Chance) -> None:
    element = holder[at]
    match chance.randrange(6):
        case 0:
            element.tag = chance.choice(_TAGS)
        case 1:
            element.below, element.content = None, chance.choice(_CONTENTS)
        case 2:
            del holder[at]
        case 3:
            holder.insert(at, element)
        case 4:
            other = chance.randrange(len(holder))
            holder[at], holder[other] = holder[other], holder[at]
        case _:
            content = bytearray(element.encoded() if element.below is not None else element.content)
            where = chance.randrange(len(content) + 1)
            content[where : where + 1] = bytes([chance.randrange(256)])
            element.below, element.content = None, bytes(content)


def _places(top: Element) -> list[tuple[list[Element], int]]:
    found: list[tuple[list[Element], int]] = []
    left = [top]
    while left:
        below = left.pop().below or []
        found += [(below, at) for at in range(len(below))]
        left += below
    return found or [([top], 0)]


def _parsed(content: bytes, depth: int) -> list[Element]:
    """Raises ValueError and IndexError for what is no row of elements."""
    found, at = [], 0
    while at < len(content):
        tag, size, at = content[at], content[at + 1], at + 2
        if size >= _SHORT:
            count = size - _SHORT
            size, at = int.from_bytes(content[at : at + count], "big"), at + count
        inside = content[at : at + size]
        if len(inside) < size or depth > _DEEPEST:
            raise ValueError(content)
        at += size
        found.append(_element(tag, inside, depth))
    return found


def _element(tag: int, inside: bytes, depth: int) -> Element:
    octets = 0x04
    try:
        if tag & _CONSTRUCTED or (tag == octets and inside[:1] == b"\x30"):
            return Element(tag, _parsed(inside, depth + 1))
    except (ValueError, IndexError):
        pass
    return Element(tag, None, inside)


def _length(size: int) -> bytes:
    if size < _SHORT:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([_SHORT + len(octets)]) + octets

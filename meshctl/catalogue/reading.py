"""Codes of range 0: reading files."""

from __future__ import annotations

from meshctl.catalogue.code import Code

CODES = (
    Code(
        "MSH0001",
        "yaml-syntax",
        "The file is not YAML, so nothing in it can be read.",
        "Mend the syntax at the place shown; an editor with YAML support marks it too.",
    ),
    Code(
        "MSH0002",
        "unreadable-file",
        "A spec is made of regular UTF-8 files of bounded size below one folder, so that a build never depends on anything else.",
        "Save the file as UTF-8 text below the spec's folder.",
    ),
    Code(
        "MSH0003",
        "duplicate-key",
        "YAML parsers keep one of the two values and drop the other in silence.",
        "Keep one of them.",
    ),
    Code(
        "MSH0004",
        "yaml-feature-refused",
        "Tags, merge keys, several documents and large alias expansions make a spec mean something else than it shows.",
        "Write the values out.",
    ),
    Code(
        "MSH0005",
        "too-large",
        "Bounds on size, depth and number of nodes keep a hostile file from exhausting the machine.",
        "Split the spec into several files.",
    ),
    Code(
        "MSH0006",
        "empty-spec",
        "There is nothing to compile.",
        "Point to a mesh file or to a folder with one; `meshctl --help` shows the default places.",
    ),
    Code(
        "MSH0007",
        "hidden-character",
        "Whoever reads the file would not see it, and a terminal, an editor or a proxy may act on it.",
        "Remove it.",
    ),
    Code(
        "MSH0008",
        "secret-in-spec",
        "A spec is in git, where everybody who can read it has the key, and its history keeps it. The file is not read any further, so that nothing of it is told.",
        "Take the key out of the file and of git's history, and replace it: whoever could read the spec may have it.",
    ),
    Code(
        "MSH0051",
        "policy-invalid",
        "A policy that cannot be read checks nothing, and nobody would notice.",
        "Mend the policy file at the place shown.",
    ),
    Code(
        "MSH0052",
        "policy-error",
        "A rule that gives no answer must not pass for one that is content.",
        "Let the policy's `assert` allow for facts like these, for example with `has()` or `in`.",
    ),
)

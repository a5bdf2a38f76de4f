"""Bounds that keep a hostile file from exhausting the machine, each far above any real spec."""

FILE_BYTES = 4 << 20
"""Six thousand services. More than anyone reads in one file, and what a file made to be dense costs is about a second."""

NAMED_BYTES = 256 << 10
"""A file that the spec names: a set of a hundred keys and more."""

BASELINE_BYTES = 8 << 20
"""Forty thousand findings, those of six thousand services. A file made to be dense costs two seconds and 300 MB."""

SPEC_BYTES = 32 << 20
"""All files of a spec together: fifty thousand services."""

FILES = 20_000

DEPTH = 64
"""Containers inside containers, counted after aliases are expanded, so that whoever walks a spec may recurse."""

EVENTS = 200_000
BATCH = 50_000
CHARACTERS_PER_EVENT = 4
"""After EVENTS events of the parser (beginnings and ends of values), each BATCH must fill so many characters.

A written spec has six or more, so an honest file may be of any size up to FILE_BYTES; what is made to be
costly (``[[],[],…``) has one or two, and is stopped within half a second.
"""

ALIASED = 10_000
"""Nodes that the aliases of a file may stand for, a long text counting as one for each hundred characters."""

TEXT_CHARACTERS = 1 << 16
"""One key or value."""

FAULTS = 50
"""After so many in one file the rest would not be read by anyone."""

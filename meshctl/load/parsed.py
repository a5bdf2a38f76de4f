"""Files that were parsed, by what is in them, so that a second revision of a spec costs what differs."""

from __future__ import annotations

from msgspec import Struct, field

from meshctl.load.document import Document, read_yaml
from meshctl.load.files import SourceFile
from meshctl.spec.source import Positions


class ParsedFiles(Struct, frozen=True):
    """What was read of each content without a fault; never on disk (decision 0134).

    The nodes are shared by all specs that are read with this, and nobody may change them.
    """

    _by_content: dict[bytes, Document] = field(default_factory=dict)

    def read(self, file: SourceFile, positions: Positions) -> Document:
        """The one document in ``file``; places are added to ``positions``. Never raises."""
        known = self._by_content.get(file.content)
        if known is None:
            known = read_yaml(file.content, file.name)
            if not known.findings:
                self._by_content[file.content] = known
        # Findings name their file, and what stands twice in one spec has two places.
        if known.findings or positions.container(known.node) is not None:
            return read_yaml(file.content, file.name, positions)
        positions.adopt(file.name, known.positions)
        return known

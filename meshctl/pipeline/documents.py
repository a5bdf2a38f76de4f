"""YAML documents that a room made, as the files that they are."""

from __future__ import annotations

from meshctl.artifacts import Artifact, Document


def written(made: Artifact | Document) -> Artifact:
    """The file, with its comments above."""
    from meshctl.load.written import render_documents

    if isinstance(made, Artifact):
        return made
    comments = "".join(f"# {line}\n" for line in made.comments)
    text = render_documents([made.content]).removeprefix("---\n")
    return Artifact(made.path, f"{comments}{text}".encode())

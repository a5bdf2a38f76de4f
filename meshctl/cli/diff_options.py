"""The arguments and options of `diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshctl.cli import options
from meshctl.cli.diff_limits import FailOn

Base = Annotated[
    str | None,
    typer.Argument(
        metavar="[BASE]",
        help="The git revision before, HEAD if left out; BASE..HEAD for both, BASE...HEAD from where they parted.",
        show_default=False,
    ),
]
Head = Annotated[
    str | None,
    typer.Argument(
        metavar="[HEAD]", help="The revision after; the work tree if left out.", show_default=False
    ),
]
Spec = Annotated[
    str | None,
    typer.Option("--spec", help="A file or a folder. Default: mesh.yaml or mesh/ here.", show_default=False),
]
Deployed = Annotated[
    Path | None,
    typer.Option(
        "--deployed",
        parser=options.folder,
        metavar="DIR",
        help="Begin at what this folder holds, in the place of BASE: what would a deployment change?",
        show_default=False,
    ),
]
Rendered = Annotated[bool, typer.Option("--rendered", help="Show the files that are built, too.")]
MaxSidecars = Annotated[
    int | None,
    typer.Option("--max-sidecars", min=0, help="Fail where more sidecars are to deploy.", show_default=False),
]
MaxCallers = Annotated[
    int | None,
    typer.Option(
        "--max-callers", min=0, help="Fail where the requests of more services change.", show_default=False
    ),
]
FailsOn = Annotated[
    FailOn, typer.Option("--fail-on", help="Exit with 1 at any difference, or only over a limit.")
]

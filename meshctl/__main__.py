"""The way in. `--version` and `--help` are answered before anything heavy is imported."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line; never returns normally."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from meshctl import __version__

        sys.stdout.write(f"meshctl {__version__}\n")
        sys.exit(0)
    if arguments in (["--help"], ["-h"], []):
        from meshctl.cli.help import HELP

        (sys.stdout if arguments else sys.stderr).write(HELP)
        sys.exit(0 if arguments else 2)
    # A compile makes millions of small objects and no garbage worth collecting: half the time of a load.
    gc.disable()
    # No plugin of pydantic's has a part in this; looking for one reads the metadata of every package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from meshctl.cli.app import run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()

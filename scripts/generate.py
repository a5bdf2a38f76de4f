"""Write the files that are made from code, or check that they are fresh.

To add one, write a function that returns the whole text and list it in GENERATORS. The functions
import the package themselves, so that a broken room breaks only its own files.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# (path below the repository's root, function that returns its text)
GENERATORS: list[tuple[str, Callable[[], str]]] = []


def stale() -> list[tuple[Path, str]]:
    """Files whose text differs from what the code would write, with that text."""
    made = [(ROOT / path, generate()) for path, generate in GENERATORS]
    return [(path, text) for path, text in made if not path.exists() or path.read_text("utf-8") != text]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    arguments = parser.parse_args()
    late = stale()
    for path, text in late:
        name = path.relative_to(ROOT)
        if arguments.check:
            print(f"{name} is not what the code makes; run: make generate", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if late and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())

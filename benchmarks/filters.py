"""The table of pixel-response errors in docs/filters.md: ``python -m benchmarks.filters > table.md``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.rasterize.response import markdown, responses


def main() -> None:
    """Print the table, RMS and (largest) error for every filter and beta, as markdown."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--splats", type=int, default=1000, help="random splats per beta")
    parser.add_argument("--pixels", type=int, default=60, help="pixels around each")
    arguments = parser.parse_args()
    table = responses(arguments.splats, arguments.pixels, lambda text: print(text, file=sys.stderr))
    print(markdown(table))


if __name__ == "__main__":
    main()

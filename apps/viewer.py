#!/usr/bin/env python3
"""Look at a scene in the browser: a run folder that `splat fit` made, or a splat file.

    python apps/viewer.py runs/fox
    python apps/viewer.py scene.ply --port 9000 --host 0.0.0.0

Pictures are drawn on this machine, so any browser will do, also a telephone's. With a run folder, its
cameras can be visited, and the held-out photos compared with what the scene shows from there.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from splat.errors import SplatError


@dataclass(frozen=True)
class Viewer:
    """Look at a scene in the browser."""

    path: Annotated[Path, tyro.conf.Positional]
    """Run folder, or splat file (.ply)."""
    port: int = 8080
    """Port to listen on; the next free one if it is in use."""
    host: str = "127.0.0.1"
    """Address to listen on: 127.0.0.1 for this machine only, 0.0.0.0 for everyone who can reach it."""

    def run(self) -> None:
        """Serve until Ctrl-C."""
        from splat.viewer import load_scene, serve

        shown = load_scene(self.path)
        serve(shown.gaussians, shown.views, self.port, host=self.host, near=shown.near)


def main() -> int:
    """Run the viewer; a SplatError becomes one line."""
    try:
        tyro.cli(Viewer, description=__doc__).run()
    except SplatError as error:
        print(f"viewer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

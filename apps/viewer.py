#!/usr/bin/env python3
"""Look at a scene in the browser: a run folder that `splat fit` made, or a splat file.

    python apps/viewer.py runs/fox
    python apps/viewer.py scene.ply --port 9000 --host 0.0.0.0
    python apps/viewer.py runs/fox --device cpu

Pictures are drawn on this machine, so any browser will do, also a telephone's. With a run folder, its
cameras can be visited, and the held-out photos compared with what the scene shows from there.

It is `splat view` as a program of its own: the same options, and the same words where something is wrong.
"""

from __future__ import annotations

import sys

from splat.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["view", *sys.argv[1:]]))

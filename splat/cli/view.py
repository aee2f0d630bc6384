"""``splat view``: a scene in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class View:
    """Look at a scene in the browser, drawn exactly as it was trained. Ctrl-C closes it."""

    path: Annotated[Path, Positional, arg(metavar="SCENE")]
    """Run folder (its cameras and held-out photos are shown too), or a splat file."""
    port: int = 8080
    """Port of the web page; the next free one if it is taken."""
    host: str = "127.0.0.1"
    """Address to listen on. 0.0.0.0 lets other computers look too."""
    device: str = "auto"
    """Where to render: auto (an NVIDIA GPU if one can be used, else the processor), cpu, cuda, or cuda:1."""

    def run(self) -> int:
        """Serve until interrupted; returns the exit code."""
        from splat.cli.on_device import device_for
        from splat.cli.scene_source import find_splat
        from splat.viewer import serve
        from splat.viewer.serve import load_scene

        find_splat(self.path)  # says what is missing in the words of every command
        device = device_for(self.device)
        scene = load_scene(self.path)
        print(f"{self.path}: {len(scene.gaussians):,} Gaussians, SH degree {scene.gaussians.sh_degree}")
        serve(
            scene.gaussians.to(device),
            scene.views,
            self.port,
            host=self.host,
            near=scene.near,
            background=scene.background,
        )
        return 0

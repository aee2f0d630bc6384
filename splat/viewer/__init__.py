"""Looking at a scene in the browser, drawn here by our own rasteriser.

``serve(load_scene(path)...)`` shows a finished scene, ``LiveView`` one that is being trained. viser brings
the page, the camera controls and the panel; every picture is a render of this machine, so what is seen is
what was trained: all spherical harmonics, the right pixel filter, the exact kernel.
"""

from __future__ import annotations

from splat.viewer.live import LiveView
from splat.viewer.scene import KnownView
from splat.viewer.serve import ShownScene, load_scene, serve

__all__ = ["KnownView", "LiveView", "ShownScene", "load_scene", "serve"]

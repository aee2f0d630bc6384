"""The sample capture: photos of a made-up still life, so that splat can be tried without a download.

``python -m datasets.sample`` writes them; :func:`still_life`, :func:`walk` and :func:`render` give tests
the exact scene, its cameras and its depth.
"""

from datasets.sample.render import Picture, PinholeCamera, render
from datasets.sample.stage import still_life
from datasets.sample.walk import walk

__all__ = ["Picture", "PinholeCamera", "render", "still_life", "walk"]

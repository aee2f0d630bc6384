"""Whether ``--strips`` goes with a scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

from splat.errors import SplatError

if TYPE_CHECKING:
    from splat.gaussians import Gaussians


def check_strips(strips: int, scene: Gaussians) -> None:
    """Refuse strips where no pixel is cut into any.

    Raises:
        SplatError: more than one strip, and the scene's pixel filter is not "exact".
    """
    if strips > 1 and scene.antialias != "exact":
        raise SplatError(
            f"--strips is {strips}, but the scene's pixel filter, {scene.antialias}, cuts no pixel in strips",
            expected="a scene trained with --antialias exact",
            advice="Leave --strips out; --subpixel 2 is finer with every filter",
        )

"""``splat convert``: read a scene, write it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from splat.errors import SplatError


@dataclass(frozen=True)
class Convert:
    """Write a splat file in another format or with fewer colour coefficients.

    Formats are named by suffix. So far: .ply (3D Gaussian Splatting layout, read by every viewer).
    """

    input: Annotated[Path, Positional, arg(metavar="IN")]
    """Splat file, or a run folder."""
    output: Annotated[Path, Positional, arg(metavar="OUT")]
    """File to write; its suffix names the format."""
    sh_degree: Literal[0, 1, 2, 3] | None = None
    """Keep view-dependent colour only up to this degree. Default: all that there is."""
    drop_invalid: bool = False
    """Leave out splats that hold NaN or infinity, instead of refusing the file."""
    overwrite: bool = False
    """Replace the output if it exists."""

    def run(self) -> int:
        """Convert; returns the exit code."""
        from splat import io
        from splat.cli.scene_source import find_splat
        from splat.io.atomic import check_writable

        source = find_splat(self.input)
        check_writable(self.output, self.overwrite)
        scene = io.read(source, self.drop_invalid)
        before = scene.sh_degree
        if self.sh_degree is not None:
            if self.sh_degree > before:
                raise SplatError(
                    f"--sh-degree is {self.sh_degree}, but {source} has degree {before}",
                    expected=f"at most {before}",
                )
            scene = replace(scene, sh=scene.sh[:, : (self.sh_degree + 1) ** 2].contiguous())
        io.write(self.output, scene, overwrite=self.overwrite)
        size = self.output.stat().st_size / 1e6
        print(f"{self.output}: {len(scene):,} splats, SH degree {scene.sh_degree}, {size:.1f} MB")
        return 0

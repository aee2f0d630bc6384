"""``splat convert``: read a scene, write it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from splat.errors import SplatError

if TYPE_CHECKING:
    from splat.gaussians import Gaussians


@dataclass(frozen=True)
class Convert:
    """Rewrite a splat file: with fewer colour coefficients, without broken splats, or as plain Gaussians.

    The one format so far is .ply, in the layout of the original 3D Gaussian Splatting program.
    """

    input: Annotated[Path, Positional, arg(metavar="IN")]
    """Splat file, or a run folder."""
    output: Annotated[Path, Positional, arg(metavar="OUT")]
    """File to write, name.ply."""
    sh_degree: int | None = None
    """Keep view-dependent colour only up to this degree, 0 to 3. Default: all that there is."""
    fold: bool = False
    """Write the nearest scene of plain Gaussians with a plain pixel filter, for programs that know nothing
    else, and say how far its pictures are from the original's."""
    drop_invalid: bool = False
    """Leave out splats that hold NaN or infinity, instead of refusing the file."""
    overwrite: bool = False
    """Replace the output if it exists."""

    def run(self) -> int:
        """Convert; returns the exit code."""
        from splat import io
        from splat.cli.scene_source import find_splat
        from splat.io.atomic import check_writable

        if self.sh_degree not in (None, 0, 1, 2, 3):
            raise SplatError(f"--sh-degree is {self.sh_degree}", expected="0, 1, 2 or 3")
        source = find_splat(self.input)
        check_writable(self.output, self.overwrite)
        scene = self._cut_colour(io.read(source, self.drop_invalid), source)
        written = io.fold(scene) if self.fold else scene
        lost = self._lost(scene, written)
        io.write(self.output, written, overwrite=self.overwrite)
        size = self.output.stat().st_size / 1e6
        print(f"{self.output}: {len(scene):,} splats, SH degree {scene.sh_degree}, {size:.1f} MB")
        if lost:
            print(lost)
        return 0

    def _lost(self, scene: Gaussians, written: Gaussians) -> str:
        """What folding changes; before anything is written, as it may fail."""
        if not self.fold:
            return ""
        from splat.cli.fold_loss import describe_fold

        return describe_fold(scene, written, self.input)

    def _cut_colour(self, scene: Gaussians, source: Path) -> Gaussians:
        """The scene with the colour coefficients that are asked for."""
        before = scene.sh_degree
        if self.sh_degree is None:
            return scene
        if self.sh_degree > before:
            raise SplatError(
                f"--sh-degree is {self.sh_degree}, but {source} has degree {before}",
                expected=f"at most {before}",
            )
        return replace(scene, sh=scene.sh[:, : (self.sh_degree + 1) ** 2].contiguous())

"""Calls into the compiled rasteriser with every buffer poisoned, and scenes that nobody wants."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from splat import native_core
from splat.gaussians import PARAMETERS, Antialias, Gaussians
from splat.rasterize.settings import DILATION
from tests.rasterize.scenes import posed, random_scene

COUNTS = (0, 1, 2, 3, 15, 16, 17, 31, 64, 100, 255, 256, 257)
FILTERS: tuple[Antialias, ...] = ("none", "mip", "analytic", "moment", "exact")
SIZES = (1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 47, 65)
GRADIENTS = PARAMETERS
IMAGES = ("color", "alpha", "depth_sum", "median_depth", "normals")
NAN, INF = float("nan"), float("inf")


@dataclass
class Case:
    """What the core is given."""

    scene: Gaussians
    width: int
    height: int
    intrinsics: list[float]
    pose: Tensor = field(default_factory=lambda: torch.eye(4))
    antialias: Antialias = "none"
    strips: int = 1
    geometry: bool = True
    degree: int = 0
    near: float = 0.01
    far: float = 1e10
    background: tuple[float, float, float] = (0.3, 0.6, 0.1)

    def arrays(self) -> list[Tensor | None]:
        return [*(getattr(self.scene, name) for name in PARAMETERS), self.scene.shape]

    def image(self, channels: int, poison: float) -> Tensor:
        shape = (self.height, self.width, channels) if channels > 1 else (self.height, self.width)
        return torch.full(shape, poison)


@dataclass
class Result:
    """Everything that the core wrote for a case."""

    images: dict[str, Tensor]
    radii: Tensor
    gradients: dict[str, Tensor]
    frame: Any

    def written(self) -> dict[str, Tensor]:
        return {**self.images, "radii": self.radii, **{f"v_{k}": v for k, v in self.gradients.items()}}


def render(case: Case, poison: float, frame: Any = None) -> Result:
    frame = frame or native_core.load().Frame()
    geometry = IMAGES if case.geometry else IMAGES[:2]
    images = {name: case.image(3 if name in ("color", "normals") else 1, poison) for name in geometry}
    radii = torch.full((len(case.scene),), poison)
    frame.render(
        *case.arrays(),
        world_to_camera=case.pose,
        intrinsics=case.intrinsics,
        width=case.width,
        height=case.height,
        sh_degree=case.degree,
        antialias=case.antialias,
        dilation=DILATION.get(case.antialias, 0.0),
        strips=case.strips,
        background=list(case.background),
        near=case.near,
        far=case.far,
        radii=radii,
        **{name: images.get(name) for name in IMAGES},
    )
    return Result(images, radii, {}, frame)


def backward(case: Case, result: Result, poison: float) -> Result:
    """The gradients of a fixed random weighting of all images."""
    make = torch.Generator().manual_seed(1)
    incoming = {name: torch.randn(t.shape, generator=make) for name, t in result.images.items()}
    into = {name: torch.full_like(t, poison) for name, t in case.scene.parameters().items()}
    screen, pose = torch.full((len(case.scene), 4), poison), torch.full((3, 4), poison)
    result.frame.backward(
        *case.arrays(),
        *(result.images.get(name) for name in ("color", "alpha", "depth_sum", "normals")),
        *(incoming.get(name) for name in IMAGES),
        *(into.get(name) for name in (*PARAMETERS, "shape")),
        screen,
        pose,
    )
    return replace(result, gradients={**into, "screen": screen, "pose": pose})


def run(case: Case, poison: float = NAN, frame: Any = None) -> Result:
    return backward(case, render(case, poison, frame), poison)


def assert_same_bits(a: Result, b: Result, note: str = "") -> None:
    for name, value in a.written().items():
        assert torch.equal(value.view(torch.int32), b.written()[name].view(torch.int32)), f"{name} {note}"


def assert_finite(result: Result, note: str = "") -> None:
    for name, value in result.written().items():
        assert value.isfinite().all(), f"{name} {note}"
    alpha = result.images["alpha"]
    assert (alpha >= 0).all() and (alpha <= 1).all()


def plain(count: int, width: int, height: int, degree: int = 1, seed: int = 0, size: float = 0.1) -> Case:
    """An ordinary scene before the camera of the other tests."""
    camera = posed(width, height, torch.float32)
    k = camera.intrinsics
    return Case(
        random_scene(count, degree, seed=seed, size=size, dtype=torch.float32),
        width,
        height,
        [float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])],
        camera.world_to_camera,
        degree=degree,
    )


def broken(name: str, column: int, value: float, count: int = 20, size: float = 0.2) -> Gaussians:
    """Splats in plain view with one parameter of each replaced."""
    bad = random_scene(count, 1, seed=5, size=size, spread=0.3, dtype=torch.float32)
    getattr(bad, name).view(count, -1)[:, column] = value
    return bad


INVISIBLE = [("means", c, v) for c in range(3) for v in (NAN, INF, -INF)]
INVISIBLE += [("quats", c, v) for c in range(4) for v in (NAN, INF)]
INVISIBLE += [("log_scales", c, NAN) for c in range(3)]
INVISIBLE += [("logit_opacities", 0, NAN), ("logit_opacities", 0, -INF)]


def sharp(scene: Gaussians, value: float) -> Gaussians:
    """The same splats, all with one raw exponent."""
    return replace(scene, kernel="gef", shape=torch.full((len(scene),), value))


# Each puts extreme but finite values into some rows of a scene.
Spoil = Callable[[Gaussians, Tensor], None]


def _set(name: str, *values: float, column: int | None = None) -> Spoil:
    def spoil(scene: Gaussians, rows: Tensor) -> None:
        value = values[int(torch.randint(len(values), (1,)))]
        tensor = getattr(scene, name)
        if column is None:
            tensor[rows] = value
        else:
            tensor[rows, column] = value

    return spoil


def _scale(name: str, *factors: float) -> Spoil:
    def spoil(scene: Gaussians, rows: Tensor) -> None:
        tensor = getattr(scene, name)
        tensor[rows] = tensor[rows] * factors[int(torch.randint(len(factors), (1,)))]

    return spoil


SPOILS: tuple[Spoil, ...] = (
    _set("means", 0.0),  # at the origin: on or near the camera
    _set("means", 0.0099, 0.0101, 0.02, 1e-3, -0.5, column=2),  # about the near plane
    _set("means", 3e38, -3e38, 1e20, 1e-40),
    _scale("means", 1e3, 1e12, 1e30, 1e-20),
    _set("quats", 0.0, 1e-40, 1e-30, 1e20, 3e38),
    _scale("quats", 1e-18, 1e-12, 1e12, 1e18),
    _set("log_scales", -3e38, -200.0, -40.0, 1e-40, 5.0, 12.0, 40.0, 200.0, 3e38),
    _set("log_scales", -3e38, -30.0, 3.0, 8.0, 12.0, 41.0, 3e38, column=0),
    _set("log_scales", -200.0, 2.0, 4.0, 20.0, column=1),
    _set("logit_opacities", -3e38, -200.0, -5.54, 0.0, 20.0, 200.0, 3e38),
    _scale("sh", 0.0, 1e-40, 100.0, 1e6),
    _set("sh", -1e6, 1e6),
)


def extreme_case(seed: int) -> Case:
    """A scene with up to three spoilt groups of rows before a random camera; the seed is the case."""
    torch.manual_seed(seed)
    pick = random.Random(seed)
    degree = pick.randrange(4)
    width, height, size = pick.choice(SIZES), pick.choice(SIZES), pick.choice((0.02, 0.1, 0.6))
    case = plain(pick.choice(COUNTS), width, height, degree, seed, size)
    for spoil in pick.sample(SPOILS, pick.randrange(4)):
        rows = torch.rand(len(case.scene)) < pick.choice((0.1, 0.5, 1.0))
        spoil(case.scene, rows)
    if pick.random() < 0.5:
        focal = pick.choice((1e-3, 1.0, 10.0, 300.0, 1e5))
        case.intrinsics = [focal, focal * pick.choice((0.5, 1.0)), *case.intrinsics[2:]]
    if pick.random() < 0.25:
        case.intrinsics[2:] = [pick.choice((-1e3, 0.0, 1e3)), pick.choice((-50.0, 0.0, 1e3))]
    if pick.random() < 0.25:
        case.pose = case.pose.clone()
        case.pose[2, 3] += pick.choice((-4.0, -3.5, 1e3, 1e6))
    case.near = pick.choice((0.0, 0.01, 0.01, 1.0))
    case.geometry = pick.random() < 0.6
    case.degree = pick.randrange(degree + 1)
    case.antialias, case.strips = pick.choice(FILTERS), pick.choice((1, 2))
    if case.antialias != "analytic" and pick.random() < 0.5:
        shape = torch.randn(len(case.scene)) * pick.choice((0.0, 1.0, 5.0, 1e3, 1e38))
        case.scene = replace(case.scene, kernel="gef", shape=shape)
    return case

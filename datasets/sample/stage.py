"""The sample's scene: a still life on a table, in a room where no wall is empty."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from datasets.sample import materials, pictures, prints
from datasets.sample.boxes import Box
from datasets.sample.lighting import Lamp
from datasets.sample.noise import Array, rgb
from datasets.sample.scene import Scene, assemble
from datasets.sample.shapes import Shape, turn
from datasets.sample.spheres import Sphere
from datasets.sample.turned import Turned

ROOM = (3.4, 3.1, 1.4)
TABLE_TOP = 0.74
LAMP = Lamp(np.array([1.5, -1.3, 2.55], dtype=np.float32), 0.25, 6.5)
WALNUT = ((0.24, 0.14, 0.09), (0.52, 0.33, 0.2))
# Half length, half width, half thickness in metres; degrees turned.
BOOKS = (
    (0.19, 0.14, 0.024, 18),
    (0.165, 0.12, 0.019, -7),
    (0.145, 0.105, 0.028, 33),
    (0.12, 0.09, 0.016, 10),
)
OAK = ((0.45, 0.31, 0.2), (0.78, 0.6, 0.42))


@lru_cache(maxsize=1)
def still_life(seed: int = 0) -> Scene:
    """The scene of the sample capture, made once. World: metres, z up, the table at the origin."""
    textures: dict[str, Array] = {}
    shapes: list[Shape] = [_room(np.random.default_rng([seed, 1]), textures)]
    shapes += _furniture(np.random.default_rng([seed, 2]), textures)
    shapes += _books(np.random.default_rng([seed, 3]), textures)
    shapes += _blocks(np.random.default_rng([seed, 4]), textures)
    shapes += _round_things(np.random.default_rng([seed, 5]), textures)
    return assemble(shapes, textures, LAMP, seed)


def _vector(*values: float) -> Array:
    return np.array(values, dtype=np.float32)


def _room(rng: np.random.Generator, textures: dict[str, Array]) -> Shape:
    """Floor with a rug; brick, papered, plastered and book-lined walls."""
    floor = materials.planks(rng, 1248, 1376, 48, *OAK)
    rug = 0.78 * pictures.patchwork(rng, 752, 912, 9, 11) + 0.22 * rgb([0.55, 0.42, 0.33])
    floor[240:1000, 224:1146] *= 0.6
    floor[248 : 248 + 752, 232 : 232 + 912] = rug
    textures["floor"] = floor
    textures["ceiling"] = materials.plaster(rng, 512, 512, (0.88, 0.86, 0.82))
    textures["brick"] = materials.bricks(rng, 496, 1088, 31)
    textures["shelf"] = prints.book_shelf(rng, 496, 1200, 6)
    textures["paper"] = pictures.wallpaper(rng, 496, 1088, (96, 128, 116))
    textures["plaster"] = materials.plaster(rng, 496, 1200, (0.84, 0.72, 0.52), 0.05)
    for name, spots in {
        "brick": [(70, 110, 190, 250), (110, 470, 230, 170), (60, 760, 180, 230)],
        "paper": [(90, 130, 210, 160), (70, 390, 190, 270), (100, 790, 200, 190)],
        "plaster": [(80, 90, 200, 270), (60, 440, 240, 180), (110, 700, 170, 130), (80, 900, 210, 200)],
    }.items():
        _gallery(rng, textures[name], spots)
    sides = ("brick", "paper", "shelf", "plaster", "ceiling", "floor")
    return Box(_vector(0, 0, ROOM[2]), _vector(*ROOM), sides, inside=True, gloss=0.02)


def _gallery(rng: np.random.Generator, wall: Array, spots: list[tuple[int, int, int, int]]) -> None:
    """Pictures at (top, left, height, width), and a skirting board, painted onto a wall."""
    frames = [(0.16, 0.13, 0.12), (0.45, 0.3, 0.18), (0.8, 0.72, 0.55)]
    for index, (top, left, height, width) in enumerate(spots):
        paint = pictures.landscape if width > height else pictures.composition
        prints.hang(wall, paint(rng, height, width), top, left, frames[(index + int(rng.integers(3))) % 3])
    wall[-26:] = rgb([0.9, 0.88, 0.84]) * (1 + 0.04 * rng.standard_normal((26, wall.shape[1], 1)))
    wall[-28:-26] = 0.3


def _furniture(rng: np.random.Generator, textures: dict[str, Array]) -> Iterator[Shape]:
    """The table, and three things along the walls."""
    top = materials.wood(rng, 480, 640, *WALNUT)
    cloth = pictures.patchwork(rng, 400, 176, 9, 4)
    top[40:440, 228:412] *= 0.7
    top[40:440, 232 : 232 + 176] = 0.35 * cloth + 0.62
    textures["table"] = top
    textures["table edge"] = materials.wood(rng, 32, 640, *WALNUT)
    textures["leg"] = np.swapaxes(materials.wood(rng, 48, 256, *WALNUT), 0, 1).copy()
    edge, leg = "table edge", "leg"
    yield Box(_vector(0, 0, TABLE_TOP - 0.025), _vector(0.72, 0.54, 0.025), (edge,) * 4 + ("table", edge))
    for x in (-0.64, 0.64):
        for y in (-0.46, 0.46):
            yield Box(_vector(x, y, 0.345), _vector(0.04, 0.04, 0.345), (leg,) * 6)
    textures["crate"] = _crate(rng)
    textures["chest"] = _chest(rng)
    textures["chest top"] = materials.wood(rng, 96, 320, *OAK)
    yield Box(_vector(-1.1, 2.72, 0.42), _vector(0.8, 0.25, 0.42), ("chest",) * 4 + ("chest top",) * 2, yaw=2)
    yield Box(_vector(2.7, -2.1, 0.3), _vector(0.32, 0.3, 0.3), ("crate",) * 6, yaw=24)
    yield Box(_vector(2.72, -2.05, 0.78), _vector(0.22, 0.2, 0.18), ("crate",) * 6, yaw=50)
    for index, word in enumerate(("FRAGILE", "THIS WAY UP", "BOOKS")):
        textures[f"carton {index}"] = prints.carton(rng, 160, 192, word)
    sides = ("carton 0", "carton 1", "carton 2", "carton 0", "carton 1", "carton 2")
    yield Box(_vector(-2.5, -2.3, 0.32), _vector(0.4, 0.34, 0.32), sides, yaw=-31)


def _crate(rng: np.random.Generator) -> Array:
    slats = materials.planks(rng, 160, 160, 5, *OAK)
    slats[:, :14] *= 0.7
    slats[:, -14:] *= 0.7
    return slats


def _chest(rng: np.random.Generator) -> Array:
    """Painted drawers, each with its own pattern."""
    front = pictures.patchwork(rng, 160, 320, 2, 4)
    return 0.55 * front + 0.45 * materials.plaster(rng, 160, 320, (0.3, 0.45, 0.48))


def _books(rng: np.random.Generator, textures: dict[str, Array]) -> Iterator[Shape]:
    """A stack of books and a carton on the table."""
    height = TABLE_TOP
    sizes = [
        (0.19, 0.14, 0.024, 18),
        (0.165, 0.12, 0.019, -7),
        (0.145, 0.105, 0.028, 33),
        (0.12, 0.09, 0.016, 10),
    ]
    for index, (long, short, half, yaw) in enumerate(sizes):
        name = f"book {index}"
        textures[name] = prints.cover(rng, 160, 208)
        textures[f"{name} pages"] = prints.pages(rng, 32, 160)
        textures[f"{name} spine"] = prints.cover(rng, 32, 192)
        cut = f"{name} pages"
        sides = (cut, cut, cut, f"{name} spine", name, name)
        yield Box(_vector(-0.4, 0.17, height + half), _vector(long, short, half), sides, yaw=yaw, gloss=0.1)
        height += 2 * half
    for side in range(3):
        textures[f"parcel {side}"] = prints.carton(rng, 128, 144, ("GLASS", "KEEP DRY", "SPLAT")[side])
    sides = ("parcel 0", "parcel 1", "parcel 2", "parcel 0", "parcel 1", "parcel 1")
    yield Box(_vector(0.44, 0.2, TABLE_TOP + 0.1), _vector(0.15, 0.11, 0.1), sides, yaw=-22)


def _blocks(rng: np.random.Generator, textures: dict[str, Array]) -> Iterator[Shape]:
    """Toy blocks that spell the program's name."""
    half = 0.052
    for index, letter in enumerate("SPLAT"):
        others = rng.choice(list("BCDEFGHKMNORUVXYZ"), 3)
        names = [f"block {index} {side}" for side in range(4)]
        for name, sign in zip(names, (letter, *others), strict=True):
            textures[name] = prints.letter_block(rng, 80, str(sign))
        front, second, third, fourth = names
        sides = (second, third, fourth, front, second, third)
        place = _vector(-0.27 + 0.135 * index, -0.35 + 0.03 * np.sin(2.1 * index), TABLE_TOP + half)
        yield Box(place, _vector(half, half, half), sides, yaw=float(rng.uniform(-16, 16)), gloss=0.12)
    textures["block 5"] = prints.letter_block(rng, 80, "3")
    textures["block 6"] = prints.letter_block(rng, 80, "D")
    top = _vector(-0.2, -0.34, TABLE_TOP + 3 * half)
    yield Box(top, _vector(half, half, half), ("block 6", "block 5") * 3, yaw=21.0, gloss=0.12)


def _round_things(rng: np.random.Generator, textures: dict[str, Array]) -> Iterator[Shape]:
    """A globe on a book, a jar, and a ring cake on a plate."""
    textures["planet"] = materials.planet(rng, 352, 704)
    textures["jar"] = materials.glazed_jar(rng, 320, 480)
    textures["ring"] = materials.iced_ring(rng, 256, 592)
    textures["plate"] = _plate(rng)
    angle = np.radians(23)
    tilt = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    stack = TABLE_TOP + 2 * sum(half for _, _, half, _ in BOOKS)
    axis = (turn(40) @ tilt).astype(np.float32)
    yield Sphere(_vector(-0.4, 0.17, stack + 0.128), 0.13, "planet", axis)
    yield Turned(_vector(0.02, 0.22, TABLE_TOP), _jar_profile(), "jar", gloss=0.45)
    yield Turned(_vector(0.36, -0.12, TABLE_TOP), _plate_profile(), "plate", gloss=0.3)
    yield Turned(_vector(0.36, -0.12, TABLE_TOP + 0.07), _ring_profile(), "ring", gloss=0.2)


def _plate(rng: np.random.Generator) -> Array:
    """Stoneware with painted rings and flecks."""
    plate = materials.plaster(rng, 96, 592, (0.72, 0.82, 0.8), 0.03)
    plate[18:24] = plate[28:30] = (0.2, 0.36, 0.42)
    flecks = rng.uniform(size=(96, 592)) < 0.02
    plate[flecks] = (0.35, 0.28, 0.22)
    return plate


def _jar_profile() -> Array:
    """Knob, lid, shoulder, belly and foot, from the top down."""
    points = [
        (0, 0.43), (0.03, 0.424), (0.034, 0.405), (0.02, 0.385), (0.062, 0.37), (0.085, 0.345),
        (0.09, 0.33), (0.08, 0.325), (0.092, 0.31), (0.15, 0.25), (0.168, 0.19), (0.15, 0.12),
        (0.112, 0.05), (0.085, 0.02), (0.09, 0.012), (0.09, 0), (0, 0),
    ]  # fmt: skip
    knots, heights = np.array(points).T
    places = np.linspace(0, 1, knots.size)
    fine = np.linspace(0, 1, 129)
    return np.stack([np.interp(fine, places, knots), np.interp(fine, places, heights)], axis=1)


def _plate_profile() -> Array:
    """A flat plate with a raised rim, from the centre of its top outwards and back below."""
    points = [(0, 0.012), (0.13, 0.012), (0.19, 0.028), (0.196, 0.026), (0.13, 0.001), (0, 0.001)]
    return np.array(points, dtype=np.float32)


def _ring_profile() -> Array:
    """The tube of the ring cake, from below, through the inside, over the top."""
    angle = np.linspace(-0.5 * np.pi, -2.5 * np.pi, 65)
    return np.stack([0.115 + 0.062 * np.cos(angle), 0.056 * np.sin(angle)], axis=1)

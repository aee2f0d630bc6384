"""Printed and painted things: books, posters, letters, a rug, cartons. Display-referred, 0 to 1."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from datasets.sample.noise import Array, fractal_noise, rgb, smooth_noise

Rng = np.random.Generator

INKS = [
    (196, 62, 52), (232, 170, 60), (46, 96, 140), (60, 130, 98), (240, 228, 204), (38, 42, 54),
    (142, 74, 110), (224, 122, 74), (120, 160, 176), (94, 62, 44), (170, 186, 120), (206, 150, 150),
]  # fmt: skip
WORDS = (
    "LIGHT FIELD WOOD RIVER ATLAS NORTH STONE GARDEN COMPASS SALT HARBOUR PAPER ORBIT MOSS CLOUD "
    "TIDE EMBER MEADOW COPPER LANTERN FERN ISLAND PRISM SPARROW WINTER MAP KILN ROOTS SIGNAL OCEAN"
).split()


class Sheet:
    """A drawing at twice the final size, turned into a texture by :meth:`finish`."""

    def __init__(self, rng: Rng, height: int, width: int, ground: tuple[int, int, int]) -> None:
        self.rng, self.height, self.width = rng, height, width
        self.image = Image.new("RGB", (2 * width, 2 * height), ground)
        self.draw = ImageDraw.Draw(self.image)

    def ink(self) -> tuple[int, int, int]:
        """A random colour of the palette."""
        return INKS[int(self.rng.integers(len(INKS)))]

    def word(self) -> str:
        """A random word."""
        return WORDS[int(self.rng.integers(len(WORDS)))]

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: tuple[int, int, int]) -> None:
        """Rectangle in final pixels."""
        self.draw.rectangle((2 * x0, 2 * y0, max(2 * x1, 2 * x0), max(2 * y1, 2 * y0)), fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: tuple[int, int, int]) -> None:
        """Disc in final pixels."""
        self.draw.ellipse(
            tuple(2 * value for value in (x - radius, y - radius, x + radius, y + radius)), fill=fill
        )

    def polygon(self, corners: list[tuple[float, float]], fill: tuple[int, int, int]) -> None:
        """Polygon in final pixels."""
        self.draw.polygon([(2 * x, 2 * y) for x, y in corners], fill=fill)

    def text(self, x: float, y: float, size: float, text: str, fill: tuple[int, int, int]) -> None:
        """Text centred at (x, y), ``size`` pixels tall."""
        font = ImageFont.load_default(size=2 * size)
        self.draw.text((2 * x, 2 * y), text, font=font, fill=fill, anchor="mm")

    def finish(self, wear: float = 0.03) -> Array:
        """[height, width, 3] with a little wear so that no area is flat."""
        small = self.image.resize((self.width, self.height), Image.Resampling.BOX)
        paint = np.asarray(small, dtype=np.float32) / 255
        worn = fractal_noise(self.rng, self.height, self.width, (24, 24), 4, gain=0.75)
        return np.clip(paint * (1 + wear * worn[..., None]), 0, 1)


def book_shelf(rng: Rng, height: int, width: int, shelves: int) -> Array:
    """A wall of books on wooden shelves, with a few objects between."""
    sheet = Sheet(rng, height, width, (52, 38, 30))
    pitch = height / shelves
    for shelf in range(shelves):
        floor = (shelf + 1) * pitch - 7
        x = 5.0
        while x < width - 12:
            thick = float(rng.uniform(9, 24))
            tall = float(rng.uniform(0.58, 0.9)) * pitch
            if rng.uniform() < 0.06:
                sheet.disc(x + 24, floor - 20, 19, sheet.ink())
                sheet.disc(x + 20, floor - 26, 6, sheet.ink())
                x += 50
            else:
                _spine(sheet, x, floor, thick, tall)
                x += thick + float(rng.uniform(0.3, 1.8))
        sheet.box(0, floor, width, floor + 7, (150, 108, 70))
    for x in np.linspace(0, width - 6, max(2, round(width / 170))):
        sheet.box(x, 0, x + 6, height, (138, 98, 62))
    return sheet.finish(0.05)


def _spine(sheet: Sheet, x: float, floor: float, thick: float, tall: float) -> None:
    ground, accent = sheet.ink(), sheet.ink()
    top = floor - tall
    sheet.box(x, top, x + thick, floor, ground)
    for share in sheet.rng.uniform(0.05, 0.95, int(sheet.rng.integers(1, 5))):
        sheet.box(
            x, top + share * tall, x + thick, top + share * tall + float(sheet.rng.uniform(1, 6)), accent
        )
    if thick > 13:
        label = Image.new("RGB", (int(tall * 1.2), int(2 * thick)), ground)
        font = ImageFont.load_default(size=1.2 * thick)
        ImageDraw.Draw(label).text((6, thick), sheet.word(), font=font, fill=accent, anchor="lm")
        sheet.image.paste(label.rotate(90, expand=True), (int(2 * x), int(2 * (top + 0.2 * tall))))


def cover(rng: Rng, height: int, width: int) -> Array:
    """A book's cover: a title over a field of shapes."""
    sheet = Sheet(rng, height, width, INKS[int(rng.integers(len(INKS)))])
    for _ in range(26):
        x, y = rng.uniform(0, width), rng.uniform(0.3 * height, height)
        if rng.uniform() < 0.5:
            sheet.disc(x, y, float(rng.uniform(4, 20)), sheet.ink())
        else:
            spread = rng.uniform(-26, 26, (3, 2))
            sheet.polygon([(x + float(dx), y + float(dy)) for dx, dy in spread], sheet.ink())
    ground = sheet.ink()
    lettering = (30, 30, 36) if sum(ground) > 380 else (245, 238, 220)
    sheet.box(0, 0.06 * height, width, 0.36 * height, ground)
    sheet.text(width / 2, 0.16 * height, height * 0.11, sheet.word(), lettering)
    sheet.text(width / 2, 0.29 * height, height * 0.08, sheet.word(), lettering)
    return sheet.finish()


def pages(rng: Rng, height: int, width: int) -> Array:
    """The cut edge of a book."""
    lines = (
        smooth_noise(rng, height, width, (1.4, 90)) * 0.06 + smooth_noise(rng, height, width, (9, 40)) * 0.03
    )
    return np.clip(rgb([0.9, 0.86, 0.76]) * (1 + lines[..., None]), 0, 1)


def letter_block(rng: Rng, size: int, letter: str) -> Array:
    """One side of a wooden toy block."""
    sheet = Sheet(rng, size, size, (222, 186, 136))
    ink = INKS[int(rng.choice([0, 1, 2, 3, 6, 7]))]
    edge = size * 0.08
    sheet.box(edge, edge, size - edge, size - edge, ink)
    sheet.box(1.8 * edge, 1.8 * edge, size - 1.8 * edge, size - 1.8 * edge, (244, 226, 188))
    sheet.text(size / 2, size / 2, size * 0.74, letter, ink)
    grain = smooth_noise(rng, size, size, (2, 40)) * 0.05
    return np.clip(sheet.finish(0.05) * (1 + grain[..., None]), 0, 1)


def carton(rng: Rng, height: int, width: int, label: str) -> Array:
    """A side of a cardboard box: tape, stamps, a shipping label."""
    sheet = Sheet(rng, height, width, (186, 146, 100))
    sheet.box(0, 0.44 * height, width, 0.56 * height, (206, 176, 128))
    left, top = width * rng.uniform(0.06, 0.3), height * rng.uniform(0.06, 0.2)
    sheet.box(left, top, left + 0.46 * width, top + 0.36 * height, (240, 238, 230))
    for row in range(5):
        y = top + (0.05 + 0.05 * row) * height
        sheet.box(left + 5, y, left + width * rng.uniform(0.2, 0.42), y + 2, (50, 50, 60))
    for x in np.cumsum(rng.uniform(2, 6, 14)):
        at = left + 6 + float(x)
        sheet.box(
            at, top + 0.29 * height, at + float(rng.uniform(0.8, 3)), top + 0.345 * height, (30, 30, 34)
        )
    sheet.text(width * 0.55, height * 0.76, height * 0.2, label, (120, 44, 36))
    sheet.polygon(
        [(0.84 * width, 0.1 * height), (0.95 * width, 0.3 * height), (0.73 * width, 0.3 * height)],
        (40, 40, 46),
    )
    fibres = smooth_noise(rng, height, width, (3, 3)) * 0.035
    return np.clip(sheet.finish(0.05) * (1 + fibres[..., None]), 0, 1)


def hang(wall: Array, picture: Array, top: int, left: int, frame: tuple[float, float, float]) -> None:
    """Paint a framed picture onto a wall, in place: shadow, frame, mount, picture."""
    height, width = picture.shape[:2]
    wall[top - 12 : top + height + 20, left - 10 : left + width + 20] *= 0.72
    wall[top - 16 : top + height + 16, left - 16 : left + width + 16] = frame
    wall[top - 9 : top + height + 9, left - 9 : left + width + 9] = (0.93, 0.92, 0.88)
    wall[top : top + height, left : left + width] = picture

"""Recipes that bring known data sets into the shape that ``splat fit`` reads, with their protocols.

They do not download: each names the official page and the layout it expects.
"""

from datasets.recipes import dtu, llff, mipnerf360, nerf_synthetic, tanks_and_temples

RECIPES = {
    module.RECIPE.name: module.RECIPE for module in (mipnerf360, tanks_and_temples, dtu, nerf_synthetic, llff)
}

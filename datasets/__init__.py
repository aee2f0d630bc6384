"""Captures to try splat on: a generated one, and recipes for the known ones.

Run from a checkout (``python -m datasets.sample``, ``python -m datasets.recipes``). Never installed:
``datasets`` is the import name of another package.
"""

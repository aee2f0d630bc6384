"""The scene that the sample's tests look at; it takes seconds to make."""

from __future__ import annotations

import pytest

from datasets.sample import still_life
from datasets.sample.scene import Scene


@pytest.fixture(scope="session")
def scene() -> Scene:
    """The sample's scene."""
    return still_life(0)

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.io import ClassInfo


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def classes():
    return ClassInfo(("background", "membrane", "nucleus"))

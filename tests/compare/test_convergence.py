"""When a training has flattened."""

from __future__ import annotations

import pytest

from gnnseg.compare.convergence import flattened


@pytest.mark.parametrize(
    ("curve", "patience", "expected"),
    [
        ([], 20, False),
        ([0.5] * 7, 20, False),
        ([0.5] * 8, 20, True),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.602, 0.604], 20, True),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.602, 0.606], 20, False),
        ([0.6, 0.1, 0.1, 0.1], 3, True),
        ([0.6, 0.1, 0.1, 0.1], 4, False),
        ([n / 200 for n in range(95)] + [0.1] * 5, 3, False),
        ([n / 200 for n in range(90)] + [0.1] * 10, 3, True),
        ([float("nan"), 0.6, float("nan"), 0.1, 0.1], 3, True),
        ([0.6, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5], 20, True),
    ],
)
def test_when_a_training_has_flattened(curve, patience, expected):
    assert flattened(curve, patience)[0] is expected

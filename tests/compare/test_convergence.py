"""When a training has flattened."""

from __future__ import annotations

import pytest

from gnnseg.compare.convergence import flattened


@pytest.mark.parametrize(
    ("curve", "patience", "expected"),
    [
        ([], 20, False),
        ([0.5] * 19, 20, False),
        ([0.5] * 20, 20, True),
        ([n / 30 for n in range(15)] + [0.468, 0.469, 0.47, 0.47, 0.471], 20, True),
        ([n / 30 for n in range(15)] + [0.468, 0.469, 0.47, 0.47, 0.472], 20, False),
        ([0.6, 0.1, 0.1, 0.1], 3, True),
        ([0.6, 0.1, 0.1, 0.1], 4, False),
        ([n / 200 for n in range(95)] + [0.1] * 5, 3, False),
        ([n / 200 for n in range(90)] + [0.1] * 10, 3, True),
        ([float("nan"), 0.6, float("nan"), 0.1, 0.1], 3, True),
        ([0.6] + [0.1] * 18 + [0.5], 20, True),
    ],
)
def test_when_a_training_has_flattened(curve, patience, expected):
    assert flattened(curve, patience)[0] is expected

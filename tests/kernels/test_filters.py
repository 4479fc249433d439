"""Filters of pixels, against their definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.kernels.filters import GREY_FILTERS, REACH, filter_pixels, num_filters


def expected(work, y, x, top):
    """Those of the pixel (y, x) of `work`, in floating point."""
    patch = work[:, y - 4 : y + 5, x - 4 : x + 5].astype(float) / top
    grey = patch.mean(axis=0)

    def box(down, right, reach):
        middle = 4 + down, 4 + right
        return grey[
            middle[0] - reach : middle[0] + reach + 1, middle[1] - reach : middle[1] + reach + 1
        ].mean()

    values = [grey[4, 4], *(grey[4, 4] - box(0, 0, reach) for reach in (1, 2, 4))]
    for far, reach in ((1, 0), (3, 1)):
        own = box(0, 0, reach)
        yy = box(far, 0, reach) + box(-far, 0, reach) - 2 * own
        xx = box(0, far, reach) + box(0, -far, reach) - 2 * own
        yx = (box(far, far, reach) + box(-far, -far, reach)) / 4
        yx -= (box(far, -far, reach) + box(-far, far, reach)) / 4
        slope = np.hypot(
            box(far, 0, reach) - box(-far, 0, reach), box(0, far, reach) - box(0, -far, reach)
        )
        curved = np.linalg.eigvalsh([[yy, yx], [yx, xx]])
        values += [slope, 4 * curved[1], 4 * curved[0]]
    values.append(grey.std())
    if len(work) > 1:
        values += [channel[4, 4] - channel.mean() for channel in patch]
    return values


@settings(max_examples=40)
@given(st.data())
def test_filters_are_what_they_say(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    channels, top = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([255, 1020, 32767]))
    shape = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    corner = data.draw(st.tuples(st.integers(REACH, 6), st.integers(REACH, 6)))
    work = rng.integers(
        0, top + 1, (channels, shape[0] + corner[0] + REACH, shape[1] + corner[1] + REACH)
    ).astype(np.int16)
    places = np.argwhere(rng.random(shape) < 0.7).astype(np.int32)
    out = np.full((len(places), num_filters(channels)), np.nan, np.float32)
    filter_pixels(work, corner, places, top, out)
    wanted = [expected(work, corner[0] + y, corner[1] + x, top) for y, x in places]
    np.testing.assert_allclose(out, np.reshape(wanted, out.shape), atol=2e-5)


def test_a_flat_picture_has_only_its_grey():
    out = np.empty((1, num_filters(3)), np.float32)
    filter_pixels(np.full((3, 9, 9), 510, np.int16), (4, 4), np.zeros((1, 2), np.int32), 1020, out)
    assert out[0, 0] == 0.5
    assert not out[0, 1:].any()
    assert out.shape[1] == GREY_FILTERS + 3

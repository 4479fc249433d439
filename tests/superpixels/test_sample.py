"""The pixels that decide the scale of a set of images."""

from __future__ import annotations

import tracemalloc
import weakref

import numpy as np
import pytest

from gnnseg.datasets.item import Item, OpenedImages
from gnnseg.io import ClassInfo, open_image
from gnnseg.superpixels import fit_scaling, sample

SHARES = [0.1, 99.9]


def images_of(dtypes, shape, seed=0):
    """Random images, of values of all sizes."""
    rng = np.random.default_rng(seed)
    return [(rng.normal(0, 1, shape) ** 3 * 2 + 100).clip(0, 255).astype(dtype) for dtype in dtypes]


def expected(images, channel):
    """The percentiles of all pixels together: small images are sampled whole."""
    values = np.concatenate([image[..., channel].ravel() for image in images])
    return np.percentile(values.astype(np.float64), SHARES)


@pytest.mark.parametrize(
    "dtypes",
    [
        ["uint16"],
        ["uint16", "int16", "uint8"],
        ["int8", "uint16", "uint16"],
        ["float32"] * 2,
        ["float64", "uint8"],
        ["int32", "int16"],
    ],
)
def test_the_ends_are_percentiles_of_all_pixels(dtypes):
    for shape in ((7, 1, 2), (61, 83, 2), (200, 190, 2)):
        images = images_of(dtypes, shape)
        images[0][0, 0] = 3
        scaling = fit_scaling([open_image(i, axes="YXC") for i in images])
        ends = np.array([scaling.low, scaling.high]).T
        for channel in range(2):
            np.testing.assert_array_equal(ends[channel], expected(images, channel))


def test_of_many_floats_every_so_many_are_taken(monkeypatch):
    images = images_of(["float32"] * 5, (200, 190, 1))
    exact = expected(images, 0)
    monkeypatch.setattr(sample, "MOST_FLOATS", 30_000)
    sizes = [image.size for image in images]
    flat = [image.reshape(1, -1) for image in images]
    few = sample.thinned(iter(flat), sizes, 1, np.dtype(np.float32))
    np.testing.assert_array_equal(few[0], np.concatenate([part[0, ::7] for part in flat]))
    scaling = fit_scaling([open_image(image[..., 0]) for image in images])
    assert scaling.high[0] == pytest.approx(exact[1], rel=0.1)
    assert scaling.high[0] != exact[1]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_memory_does_not_grow_with_the_number_of_images(dtype, monkeypatch):
    monkeypatch.setattr(sample, "MOST_FLOATS", 10**5)

    class Images:
        """Made anew each time, as if read from files."""

        def __init__(self, number):
            self.number = number

        def __iter__(self):
            for n in range(self.number):
                yield open_image(images_of([dtype], (300, 310), seed=n)[0])

    def peak(number):
        tracemalloc.start()
        fit_scaling(Images(number))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(8) < 1.1 * peak(2)


def test_opened_images_are_let_go():
    items = [Item(str(n), np.zeros((9, 9)), None, ClassInfo(("a",))) for n in range(4)]
    images = OpenedImages(items)
    seen = [weakref.ref(image) for image in images]
    assert len(seen) == len([*images]) == 4
    assert not any(ref() for ref in seen)

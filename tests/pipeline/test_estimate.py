"""The estimate of time: real rates, scaled by pixels, nodes and threads."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.io import open_image
from gnnseg.pipeline import estimate
from gnnseg.pipeline.estimate import estimate_seconds
from gnnseg.pipeline.job import prepare
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.rates import Rates
from gnnseg.pipeline.sample import sample


def job_of(model, height, width, *, planes=1, **options):
    shape = (planes, 3, height, width)
    image = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), shape)
    options = {"memory": 8 * 2**30, "workers": 2, "block": 1024, **options}
    return prepare(open_image(image, axes="ZCYX"), model, SegmentOptions(**options))


@pytest.fixture
def fixed(monkeypatch):
    """Rates of an imaginary machine."""

    def measure(_reader, model, _options):
        names = [g.name for g in model.network.groups if g.level == 0]
        nodes = dict.fromkeys(names, 1e-5)
        return Rates(pixel=1e-7, stem=1e-7, coarse=1e-6, nodes=nodes, paint=1e-8, density=6.0)

    monkeypatch.setattr(estimate, "measure", measure)
    monkeypatch.setattr(estimate, "sample", lambda reader, _area, _half: (reader, 0.0))
    monkeypatch.setattr(estimate, "default_workers", lambda: 2)


@pytest.mark.usefixtures("fixed")
def test_it_grows_with_the_image_and_shrinks_with_threads(model):
    base = estimate_seconds(job_of(model, 8192, 8192))
    assert estimate_seconds(job_of(model, 16384, 16384)) == pytest.approx(4 * base, rel=0.15)
    assert estimate_seconds(job_of(model, 8192, 8192, planes=3)) == pytest.approx(
        3 * base, rel=0.15
    )
    assert estimate_seconds(job_of(model, 8192, 8192, workers=1)) == pytest.approx(
        2 * base, rel=0.2
    )
    part = estimate_seconds(job_of(model, 8192, 8192, roi=((0, 1000), (0, 1000))))
    assert part < 0.8 * base


@pytest.mark.usefixtures("fixed")
def test_more_threads_than_processors_or_blocks_are_of_no_use(model):
    base = estimate_seconds(job_of(model, 8192, 8192))
    assert estimate_seconds(job_of(model, 8192, 8192, workers=9)) == pytest.approx(base, rel=0.05)
    small = [estimate_seconds(job_of(model, 500, 500, workers=n)) for n in (1, 2)]
    assert small[1] == pytest.approx(small[0], rel=0.05)


@pytest.mark.parametrize("shape", [(5, 7), (192, 200), (1500, 900)])
def test_it_is_positive_and_writes_nothing(model, tmp_path, monkeypatch, shape):
    monkeypatch.chdir(tmp_path)
    assert 0 < estimate_seconds(job_of(model, *shape, probabilities=True)) < 60
    assert list(tmp_path.iterdir()) == []


def test_the_sample_is_a_chunk_of_the_real_image_within_what_is_asked_for(model, pixels):
    wide = np.tile(pixels[0], (1, 10, 10))
    wide[:, :1200, :] = 0
    options = SegmentOptions(memory=8 * 2**30, workers=1, roi=((1500, 1900), (0, 2000)))
    job = prepare(open_image(wide, axes="CYX"), model, options)
    reader, seconds = sample(job.reader, job.roi, job.grid.chunk // 2)
    assert (reader.image.height, reader.image.width) == (736, 1024)
    expected = wide[:, 1184:1920, 488:1512]
    assert seconds > 0
    np.testing.assert_array_equal(reader.image.read(reader.image.bounds), expected)

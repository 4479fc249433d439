"""Images on a GPU: the same superpixels, graph and labels, and they stay there."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda

import gnnseg
from gnnseg.errors import InputError, UsageError
from gnnseg.kernels.arrays import is_device_array
from gnnseg.pipeline import write_superpixels
from gnnseg.superpixels import SlicSettings


def draw(dtype, *shape):
    rng = np.random.default_rng(0)
    return (rng.random(shape) * 255).astype(dtype)


@pytest.mark.parametrize("shape", [(11, 14, 3), (12, 9), (2, 3)])
def test_superpixels_stay_where_the_image_is(shape):
    image = draw(np.uint8, *shape)
    mask = draw(np.uint8, *shape[:2]) > 20
    here = gnnseg.superpixels(image, step=4, n_iter=1, sigma=0.4, mask=mask)
    there = gnnseg.superpixels(cuda.to_device(image), step=4, n_iter=1, sigma=0.4, mask=mask)
    assert is_device_array(there.slots)
    np.testing.assert_array_equal(there.slots.copy_to_host(), here.slots)
    np.testing.assert_array_equal(there.ids(), here.ids())
    assert there.num_leftover == here.num_leftover
    values = np.arange(here.lattice.num_cells, dtype=np.uint8)
    expected = gnnseg.paint(here, values)
    for given in (values, cuda.to_device(values)):
        np.testing.assert_array_equal(gnnseg.paint(there, given).copy_to_host(), expected)


@pytest.mark.parametrize(
    ("axes", "shape", "spacing"),
    [("ZYX", (3, 5, 8), (1.5, 1, 1)), ("ZCYX", (2, 2, 4, 7), (3, 1, 1))],
)
def test_supervoxels_stay_where_the_volume_is(axes, shape, spacing):
    """With masked voxels, and some that are not finite."""
    image = draw(np.float32, *shape)
    image[0, ..., 3, 2], image[1, ..., 0, 0] = np.nan, np.inf
    mask = gnnseg.open_image(draw(np.uint8, shape[0], *shape[-2:]) > 20, axes="ZYX")
    made = {"step": 3, "spacing": spacing, "n_iter": 1, "sigma": 0.4, "compactness": 0.5}
    here, there = (
        gnnseg.supervoxels(gnnseg.open_image(pixels, axes=axes), mask=mask, **made)
        for pixels in (image, cuda.to_device(image))
    )
    assert is_device_array(there.slots)
    np.testing.assert_array_equal(there.slots.copy_to_host(), here.slots)
    np.testing.assert_array_equal(there.ids(), here.ids())
    assert there.num_leftover == here.num_leftover
    assert len(np.unique(here.slots)) > 5


@pytest.mark.gpu
def test_slots_become_tensors_without_a_copy():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: the simulator shares no memory with torch")
    image = draw(np.uint8, 40, 50, 3)
    tensor = torch.as_tensor(image, device="cuda")
    regions = gnnseg.superpixels(tensor, step=8)
    slots = torch.as_tensor(regions.slots, device="cuda")
    assert slots.data_ptr() == regions.slots.__cuda_array_interface__["data"][0]
    np.testing.assert_array_equal(slots.cpu().numpy(), gnnseg.superpixels(image, step=8).slots)


def test_a_stack_is_done_plane_by_plane():
    image = draw(np.uint8, 2, 9, 8)
    source, there = (gnnseg.open_image(a, axes="ZYX") for a in (image, cuda.to_device(image)))
    found = gnnseg.superpixels(there, step=4, n_iter=0).slots
    np.testing.assert_array_equal(
        found.copy_to_host(), gnnseg.superpixels(source, step=4, n_iter=0).slots
    )


def test_the_graph_is_that_of_the_cpu():
    image = draw(np.float32, 12, 13)
    image[4:6, 5], image[0, 0], image[8, 2] = np.nan, np.inf, -np.inf
    settings = SlicSettings(step=5, n_iter=1)
    here, there = (
        gnnseg.region_graph(pixels, settings=settings) for pixels in (image, cuda.to_device(image))
    )
    for name in ("x", "edge_index", "edge_attr", "pos", "area"):
        assert is_device_array(getattr(there, name)), name
        np.testing.assert_array_equal(getattr(there, name).copy_to_host(), getattr(here, name))


@pytest.mark.parametrize(
    ("axes", "order"), [("YXC", (0, 1, 2)), ("CYX", (2, 0, 1)), ("XYC", (1, 0, 2))]
)
def test_axes_in_any_order_are_read(axes, order):
    image = draw(np.uint8, 6, 5, 3)
    stored = np.ascontiguousarray(image.transpose(order))
    there = gnnseg.open_image(cuda.to_device(stored), axes=axes)
    here = gnnseg.open_image(image)
    window = here.bounds.grow(-1)
    assert there.is_on_device
    assert not here.is_on_device
    np.testing.assert_array_equal(there.read_there(window).copy_to_host(), here.read(window))
    np.testing.assert_array_equal(there.read(window), here.read(window))


@pytest.mark.parametrize("dtype", [bool, np.float16])
def test_types_that_kernels_do_not_know_are_widened(dtype):
    image = draw(np.float32, 9, 10) > 99 if dtype is bool else draw(np.float16, 9, 10)
    here, there = (gnnseg.superpixels(a, step=4, n_iter=0) for a in (image, cuda.to_device(image)))
    np.testing.assert_array_equal(there.slots.copy_to_host(), here.slots)


def test_what_a_gpu_cannot_do_is_refused(tmp_path):
    stack = cuda.to_device(draw(np.uint8, 3, 9, 8))
    source = gnnseg.open_image(stack, axes="ZYX")
    with pytest.raises(UsageError, match="bring it to memory"):
        write_superpixels(source, tmp_path / "out.zarr", volume=True)
    with pytest.raises(UsageError, match="plane 7 is outside"):
        gnnseg.region_graph(source, settings=SlicSettings(step=4), plane=7)
    many = cuda.to_device(draw(np.uint8, 65, 4, 4))
    with pytest.raises(InputError, match="65 channels"):
        gnnseg.superpixels(gnnseg.open_image(many, axes="CYX"), step=4)


def test_an_object_that_is_no_array_is_refused():
    with pytest.raises(UsageError, match="or one on a GPU"):
        gnnseg.open_image(object())

"""Arrays on a GPU: what the simulator's, which are NumPy's, do not show."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config, cuda

from gnnseg.kernels.cuda import arrays, launch


class Memory:
    """Bytes that are cut as those on a GPU are."""

    def __init__(self, data):
        self.data = data

    def view(self, start, stop):
        return Memory(self.data[start:stop])


class Array:
    """What Numba's arrays have that say where their elements lie."""

    __cuda_array_interface__ = None

    def __init__(self, shape, strides, dtype, gpu_data):
        self.shape, self.strides, self.dtype, self.gpu_data = shape, strides, dtype, gpu_data

    def read(self):
        return np.ndarray(self.shape, self.dtype, self.gpu_data.data, strides=self.strides)


def example(shape):
    values = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    return values, Array(shape, values.strides, values.dtype, Memory(values.tobytes()))


@settings(max_examples=60)
@given(st.data())
def test_cuts_are_those_of_numpy(data):
    values, array = example(tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))))
    index = []
    for size in values.shape[: data.draw(st.integers(1, values.ndim))]:
        first = data.draw(st.integers(0, size - 1))
        part = slice(first, data.draw(st.integers(first + 1, size)), data.draw(st.integers(1, 2)))
        index.append(data.draw(st.sampled_from([first, part, slice(None)])))
    made, expected = arrays.cut(array, tuple(index)), values[tuple(index)]
    np.testing.assert_array_equal(made.read(), expected)
    if expected.ndim > 1:  # a cut of a cut, which has strides of its own
        np.testing.assert_array_equal(arrays.cut(made, np.s_[:, 0]).read(), expected[:, 0])


def test_a_transpose_is_a_view():
    values, array = example((2, 3))
    np.testing.assert_array_equal(arrays.turned(array).read(), values.T)
    assert arrays.turned(array).gpu_data is array.gpu_data


def test_what_holds_nothing_is_cut():
    _, array = example((2, 3))
    assert arrays.cut(array, np.s_[:, 3:]).shape == (2, 0)


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4)])
def test_strided_arrays_are_copied(shape):
    values = np.arange(2 * np.prod(shape), dtype=np.int64).reshape(*shape, 2)
    part = arrays.cut(cuda.to_device(values), (*[slice(None)] * len(shape), 1))
    np.testing.assert_array_equal(arrays.to_host(arrays.copied(part)), values[..., 1])


def test_small_arrays_that_stay_are_copied_once():
    first, second = (arrays.constant(np.array([1, 2, 3])) for _ in range(2))
    assert first is second
    other = arrays.constant(np.array([1, 2, 3], np.int32))
    assert other is not first
    np.testing.assert_array_equal(arrays.to_host(other), [1, 2, 3])


def test_small_launches_are_no_mistake():
    assert launch.per_item(1)[0] == 1
    assert config.CUDA_LOW_OCCUPANCY_WARNINGS == 0


@pytest.mark.parametrize(("stream", "waits"), [(0, 0), (7, 1)])
def test_tensors_on_a_stream_of_their_own_are_waited_for(monkeypatch, stream, waits):
    import torch

    waited = []
    found = SimpleNamespace(cuda_stream=stream, synchronize=lambda: waited.append(stream))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: found)
    tensor = SimpleNamespace(is_cuda=True, device=None)
    tensor.detach = lambda: tensor
    assert arrays.view(tensor) is tensor
    assert len(waited) == waits

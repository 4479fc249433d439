"""Which operations networks on a GPU run: loops at inference, PyTorch's own for gradients."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gnnseg.kernels.cuda import arrays
from gnnseg.models import loops, messages, pooling
from gnnseg.models.layers import EdgeGatedConv


class There(torch.Tensor):
    """A tensor in memory that says that it lies on a GPU."""

    is_cuda = True


def draw_graph(nodes=40, edges=200, channels=8):
    rng = np.random.default_rng(0)
    edge_index = rng.integers(nodes, size=(2, edges))
    x, attr = (torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for shape in (
        (nodes, channels), (edges, 6)
    ))  # fmt: skip
    return x, torch.from_numpy(edge_index[:, np.lexsort(edge_index)]), attr


@pytest.mark.parametrize("taken", [True, False])
def test_messages_take_the_loop_where_it_runs(taken, monkeypatch):
    asked, calls, loop = [], [], messages.gated_messages

    def noted(*tensors):
        calls.append(tensors)
        made = loop(*(tensor.as_subclass(torch.Tensor).numpy() for tensor in tensors))
        return torch.from_numpy(made)

    monkeypatch.setattr(messages, "loops_take", lambda tensor: asked.append(tensor) or taken)
    conv, (x, *edges) = EdgeGatedConv(8, 6), draw_graph()
    with torch.inference_mode():
        expected = conv(x, *edges)
        monkeypatch.setattr(messages, "gated_messages", noted)
        found = conv(x.as_subclass(There), *edges).as_subclass(torch.Tensor)
    assert (len(asked), len(calls)) == (1, int(taken))
    torch.testing.assert_close(found, expected, rtol=0 if taken else 1e-5, atol=1e-5 * (not taken))


@pytest.mark.parametrize("taken", [True, False])
def test_pooling_takes_the_loop_where_it_runs(taken, monkeypatch):
    rng, calls, loop = np.random.default_rng(0), [], pooling.pool
    maps = torch.from_numpy(rng.normal(size=(3, 4, 6)).astype(np.float32))
    slots = torch.from_numpy(rng.choice(np.array([7, 12, 254], np.uint8), (16, 24)))
    expected = pooling.pool_pixels(maps, slots, 8, 4, (2, 3))

    def noted(values, slots, step, stride, sums):
        calls.append(step)
        arrays = (tensor.as_subclass(torch.Tensor).numpy() for tensor in (values, slots))
        loop(*arrays, step, stride, sums.as_subclass(torch.Tensor).numpy())

    monkeypatch.setattr(pooling, "loops_take", lambda _: taken)
    monkeypatch.setattr(pooling, "pool", noted)
    found = pooling.pool_pixels(maps.as_subclass(There), slots, 8, 4, (2, 3))
    assert len(calls) == taken
    torch.testing.assert_close(found.as_subclass(torch.Tensor), expected)


@pytest.fixture
def fresh(monkeypatch):
    """As if no loop had been tried yet, and the current device were that of tensors in memory."""
    monkeypatch.setattr(torch.cuda, "current_device", lambda: None)
    default = SimpleNamespace(cuda_stream=0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: default)
    loops._loops_run.cache_clear()
    yield
    loops._loops_run.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_loops_take_what_needs_no_gradients():
    assert not loops.loops_take(torch.zeros(2))
    with torch.no_grad():
        assert loops.loops_take(torch.zeros(2))
        assert not loops.loops_take(torch.zeros(2, dtype=torch.float16))


@pytest.mark.usefixtures("fresh")
def test_another_stream_than_the_default_is_pytorchs(monkeypatch):
    side = SimpleNamespace(cuda_stream=7)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: side)
    with torch.no_grad():
        assert not loops.loops_take(torch.zeros(2))


@pytest.mark.usefixtures("fresh")
def test_without_a_compiler_pytorch_does_the_work(monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(arrays, "full", fails)
    with torch.no_grad():
        assert not loops.loops_take(torch.zeros(2))
        assert not loops.loops_take(torch.zeros(2))
    assert [record.message for record in caplog.records] == [
        "loops for GPUs do not run, PyTorch's operations do: no compiler"
    ]


@pytest.mark.gpu
def test_messages_and_sums_on_a_gpu_are_those_of_the_cpu():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: the simulator shares no memory with torch")
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(40, 16)) for _ in range(2)] + [rng.normal(size=(200, 6))]
    given += [rng.normal(size=(8, 6)), rng.normal(size=8)]
    target, source, attr, weight, bias = (
        torch.from_numpy(array.astype(np.float32)) for array in given
    )
    gate = torch.nn.Linear(6, 8)
    gate.load_state_dict({"weight": weight, "bias": bias})
    tensors = target, source, draw_graph()[1], attr
    maps, slots = torch.randn(3, 4, 6), torch.full((16, 24), 12, dtype=torch.uint8)
    with torch.inference_mode():
        expected = messages.send_messages(*tensors, gate)
        sums = pooling.pool_pixels(maps, slots, 8, 4, (2, 3))
        there = messages.send_messages(*(tensor.cuda() for tensor in tensors), gate.cuda())
        assert torch.equal(there.cpu(), expected)
        assert torch.equal(pooling.pool_pixels(maps.cuda(), slots.cuda(), 8, 4, (2, 3)).cpu(), sums)

"""Layers whose bits do not depend on the company of a row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnseg.models.layers import (
    ROWS,
    Dropout,
    EdgeGatedConv,
    Perceptron,
    RowLinear,
    pool,
    random_from,
)

SIZES = [(11, 32), (32, 2), (6, 32), (32, 64), (160, 96), (96, 192), (47, 64), (64, 3), (64, 1)]
SIZES += [(5, 4), (6, 8), (7, 11), (11, 2), (31, 3), (94, 7), (1, 1), (13, 13)]  # remainders


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def bits(tensor):
    return tensor.detach().numpy().view(np.int32)


@pytest.mark.parametrize(("inner", "outer"), SIZES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.usefixtures("threads")
@torch.no_grad()
def test_a_row_gives_the_same_bits_wherever_it_stands(inner, outer, bias):
    generator = torch.Generator().manual_seed(inner * outer)
    layer = RowLinear(inner, outer, bias=bias).eval()
    x = torch.randn(10_000, inner, generator=generator) * 3
    whole = bits(layer(x))
    sizes = [1, 2, 3, 5, 7, 8, 15, 17, 100, 1001, ROWS - 1, ROWS, ROWS + 1, 8191, 9999]
    for size in sizes:
        chosen = torch.randperm(10_000, generator=generator)[:size]
        expected = whole[chosen.numpy()]
        np.testing.assert_array_equal(bits(layer(x[chosen])), expected, err_msg=f"{size} rows")
    for start in (1, 4095, 4097, 9993):
        np.testing.assert_array_equal(bits(layer(x[start:])), whole[start:])


@pytest.mark.parametrize(("inner", "outer"), SIZES)
@torch.no_grad()
def test_where_rows_lie_in_memory_does_not_change_bits(inner, outer):
    layer, x = RowLinear(inner, outer).eval(), torch.randn(3 * ROWS + 5, inner)
    expected = bits(layer(x))
    for offset in range(1, 17):
        moved = torch.empty(x.numel() + offset)[offset:].view(x.shape).copy_(x)
        np.testing.assert_array_equal(bits(layer(moved)), expected)


@pytest.mark.parametrize(("inner", "outer"), SIZES)
@torch.no_grad()
def test_the_number_of_threads_does_not_change_bits(inner, outer):
    layer = RowLinear(inner, outer).eval()
    x = torch.randn(5000, inner, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    results = []
    for number in (1, 2):
        torch.set_num_threads(number)
        results.append(bits(layer(x)))
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_it_is_a_linear_layer_in_both_modes():
    layer = RowLinear(7, 5)
    x = torch.randn(ROWS + 10, 7)
    expected = x @ layer.weight.T + layer.bias
    torch.testing.assert_close(layer.train()(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(layer.eval()(x), expected)
        assert layer(x[:0]).shape == (0, 5)
        assert layer(x).is_contiguous()


@pytest.mark.parametrize("training", [True, False])
def test_gradients(training):
    layer = RowLinear(7, 5).train(training)
    layer(torch.randn(9, 7)).sum().backward()
    assert layer.weight.grad is not None


def random_graph(seed, nodes, edges):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(nodes, (2, edges), generator=rng), torch.randn(edges, 6, generator=rng)


@pytest.mark.parametrize("training", [True, False])
def test_edge_gated_conv_does_not_see_the_order_of_nodes_and_edges(training):
    conv = EdgeGatedConv(8, 6).train(training)
    edge_index, edge_attr = random_graph(0, 50, 300)
    x = torch.randn(50, 8)
    nodes, edges = torch.randperm(50), torch.randperm(300)
    place = torch.argsort(nodes)
    with torch.no_grad():
        expected = conv(x, edge_index, edge_attr)
        moved = conv(x[nodes], place[edge_index][:, edges], edge_attr[edges])
    torch.testing.assert_close(moved, expected[nodes], atol=1e-5, rtol=1e-5)


def test_edge_gated_conv_is_its_formula():
    conv = EdgeGatedConv(4, 6).eval()
    edge_index, edge_attr = random_graph(1, 10, 30)
    x = torch.randn(10, 4)
    with torch.no_grad():
        query, own = conv.target(x).chunk(2, 1)
        key, value = conv.source(x).chunk(2, 1)
        expected = own.clone()
        for edge, (j, i) in enumerate(edge_index.T.tolist()):
            gate = torch.sigmoid(query[i] + key[j] + conv.edge(edge_attr[edge : edge + 1])[0])
            expected[i] += gate * value[j]
        torch.testing.assert_close(conv(x, edge_index, edge_attr), expected)


def test_perceptron_sizes():
    layers = Perceptron(4, 8, 2, 0.5).eval()
    assert layers(torch.randn(3, 4)).shape == (3, 2)


def test_pool_is_the_mean_weighted_by_area():
    x, area = torch.randn(40, 3), torch.randint(0, 9, (40, 1)).float()
    parent = torch.randint(0, 12, (40,))
    parent[parent == 5] = 6  # a parent without children
    got = pool(x, area, parent, 12)
    for node in range(12):
        children = parent == node
        total = area[children].sum()
        expected = (x[children] * area[children]).sum(0) / total if total else torch.zeros(3)
        torch.testing.assert_close(got[node], expected)


def test_dropout_keeps_the_asked_share_and_the_mean():
    layer = Dropout(0.3)
    with random_from(torch.Generator().manual_seed(1)):
        out = layer(torch.ones(501, 1001))
    dropped = (out == 0).float()
    assert float(dropped.mean()) == pytest.approx(0.3, abs=0.003)
    assert float(out.max()) == pytest.approx(1 / 0.7)
    rows = dropped - dropped.mean()
    neighbours = (rows[:, 1:] * rows[:, :-1]).mean() / rows.square().mean()
    assert abs(float(neighbours)) < 0.01
    assert torch.equal(layer.eval()(out), out)

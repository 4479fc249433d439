"""The fused messages against PyTorch Geometric's layer, and their independence of neighbours."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from torch_geometric.nn import ResGatedGraphConv

from gnnseg.kernels.expf import LIMIT, exp
from gnnseg.kernels.gated import gated_gradients, gated_messages
from gnnseg.models.gated_sum import gated_sum
from gnnseg.models.layers import EdgeGatedConv


@njit
def _exp_all(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])


def test_exp_is_within_two_units_in_the_last_place():
    x = np.concatenate([np.linspace(-LIMIT, LIMIT, 400_001), np.linspace(-1, 1, 100_001)])
    x = x.astype(np.float32)
    out = np.empty_like(x)
    _exp_all(x, out)
    expected = np.exp(x.astype(np.float64))
    assert np.abs(out / expected - 1).max() < 2.0**-23


def test_exp_of_the_extremes():
    out = np.empty(5, np.float32)
    _exp_all(np.array([np.nan, np.inf, -np.inf, 1e30, 0], np.float32), out)
    assert np.isnan(out[0])
    assert np.isfinite(out[1:]).all()
    assert out[2] < 1e-37
    assert out[4] == 1


def random_case(seed, nodes, edges, channels):
    rng = np.random.default_rng(seed)
    conv = EdgeGatedConv(channels, 6)
    edge_index = rng.integers(nodes, size=(2, edges))
    edge_index = edge_index[:, np.lexsort(edge_index)]
    edge_attr = rng.normal(size=(edges, 6)).astype(np.float32)
    x = torch.from_numpy(rng.normal(size=(nodes, channels)).astype(np.float32) * 3)
    return conv, x, torch.from_numpy(edge_index), torch.from_numpy(edge_attr)


def by_pyg(conv, x, edge_index, edge_attr):
    """The layer by PyTorch Geometric's message passing."""
    (query, own), source = conv.target(x).chunk(2, dim=1), conv.source(x)
    return own + gated_sum(query, source, edge_index, conv.edge(edge_attr))


@given(st.integers(0, 9999), st.integers(1, 60), st.integers(0, 900), st.integers(1, 40))
def test_messages_and_their_gradients_are_those_of_message_passing(seed, nodes, edges, channels):
    conv, x, *edge = random_case(seed, nodes, edges, channels)
    results = []
    for layer in (by_pyg, EdgeGatedConv.__call__):
        conv.zero_grad()
        x = x.detach().requires_grad_()
        out = layer(conv, x, *edge)
        out.backward(torch.sin(torch.arange(out.numel())).view_as(out))
        results.append([out, x.grad, *(p.grad for p in conv.parameters())])
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(conv(x, *edge), results[0][0].detach(), atol=1e-5, rtol=1e-5)


def test_weights_are_learned_as_exactly_from_many_edges():
    """Sums over 200,000 edges of one sign would lose three digits in float32."""
    nodes, edges = 1000, 200_000
    rng = np.random.default_rng(0)
    index = np.sort(rng.integers(nodes, size=(2, edges)), axis=1)
    target, source = np.zeros((2, nodes, 2), np.float32)
    source[:, 1] = 1
    attr, weight, bias = np.full((edges, 1), 0.1, np.float32), np.zeros((1, 1)), np.zeros(1)
    layer = weight.astype(np.float32), bias.astype(np.float32)
    grad = np.ones((nodes, 1), np.float32)
    *_, to_weight, to_bias = gated_gradients(target, source, index, attr, *layer, grad)
    np.testing.assert_allclose(to_weight, 0.25 * 0.1 * edges, rtol=5e-6)
    np.testing.assert_allclose(to_bias, 0.25 * edges, rtol=1e-6)


def test_it_is_the_published_layer_with_an_edge_term_in_the_gate():
    """PyTorch Geometric's layer with the same weights, and none between values and edges."""
    width, edge_width = 32, 6
    conv, *graph = random_case(0, 50, 400, width)
    peer = ResGatedGraphConv(width, width, edge_dim=edge_width)
    query, own = conv.target.weight.chunk(2)
    key, value = conv.source.weight.chunk(2)
    nothing = torch.zeros(width, edge_width)
    with torch.no_grad():
        peer.lin_key.weight.copy_(torch.cat([query, conv.edge.weight], dim=1))
        peer.lin_query.weight.copy_(torch.cat([key, nothing], dim=1))
        peer.lin_value.weight.copy_(torch.cat([value, nothing], dim=1))
        peer.lin_skip.weight.copy_(own)
        peer.lin_key.bias.copy_(conv.target.bias[:width] + conv.edge.bias)
        peer.lin_query.bias.copy_(conv.source.bias[:width])
        peer.lin_value.bias.copy_(conv.source.bias[width:])
        peer.bias.copy_(conv.target.bias[width:])
        torch.testing.assert_close(conv(*graph), peer(*graph), atol=1e-5, rtol=1e-5)


@given(st.integers(0, 9999), st.integers(1, 40))
def test_a_node_has_the_same_bits_in_other_company(seed, channels):
    rng = np.random.default_rng(seed)
    nodes, edges = 50, 300
    target, source = rng.normal(size=(2, nodes, 2 * channels)).astype(np.float32)
    edge_index = rng.integers(nodes, size=(2, edges))
    edge_attr = rng.normal(size=(edges, 6)).astype(np.float32)
    weight, bias = rng.normal(size=(channels, 6)), rng.normal(size=channels)
    layer = weight.astype(np.float32), bias.astype(np.float32)
    whole = gated_messages(target, source, edge_index, edge_attr, *layer)
    kept = edge_index[1] < nodes // 2
    part = gated_messages(target, source, edge_index[:, kept], edge_attr[kept], *layer)
    np.testing.assert_array_equal(part[: nodes // 2], whole[: nodes // 2])

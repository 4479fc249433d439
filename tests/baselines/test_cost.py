"""Operations and bytes of networks, against figures worked out by hand."""

from __future__ import annotations

import pytest
from torch import nn

from gnnseg.baselines.cost import activation_bytes, operations_per_pixel
from gnnseg.baselines.networks import build_network


@pytest.mark.parametrize(
    ("name", "options", "thousands"),
    [
        # MONAI's keeps 128 channels on the way up to the full size where the paper has 64.
        ("unet-classic", {}, 1471),
        ("unet", {"width": 64}, 1561),
        ("unet", {"features": [64, 64, 128, 256, 512, 64]}, 606),
        ("unet", {"width": 16}, 98),
    ],
)
def test_operations_of_u_nets(name, options, thousands):
    found = operations_per_pixel(build_network(name, 3, 12, options), 3) / 1000
    assert found == pytest.approx(thousands, abs=1)


@pytest.mark.parametrize(
    ("name", "published", "share"), [("segnet", 286.03, 1e-3), ("enet", 3.83, 0.07)]
)
def test_operations_are_as_many_as_published(name, published, share):
    """In 10^9, of 640 x 360 pixels: arXiv:1606.02147, hardware requirements; ENet's count has more
    than convolutions."""
    found = operations_per_pixel(build_network(name, 3, 19), 3) * 640 * 360 / 1e9
    assert found == pytest.approx(published, rel=share)


def test_operations_of_the_classic_u_net_by_hand():
    total, inner = 0.0, 3
    for level in range(5):
        outer, share = 64 << level, 4**-level
        total += (inner + outer) * outer * 9 * share
        if level < 4:
            total += 2 * outer * outer * share  # up-convolution: one of four weights a pixel
            total += (2 * outer + outer) * outer * 9 * share
        inner = outer
    total += 64 * 12
    network = build_network("unet-classic", 3, 12, {})
    assert operations_per_pixel(network, 3, height=64, width=32) == 2 * total


def test_bytes_of_convolutions_by_hand():
    def conv(inner, outer):
        return nn.Conv2d(inner, outer, 3, padding=1)

    pixels = 10 * 12 * 4
    one_after_another = nn.Sequential(conv(3, 8), conv(8, 5))
    assert activation_bytes(one_after_another, 3, 10, 12) == (3 + 8 + 5) * pixels
    # The first output is gone when the third comes; the input is the caller's.
    narrowing = nn.Sequential(conv(1, 50), conv(50, 8), conv(8, 9))
    assert activation_bytes(narrowing, 1, 10, 12) == (1 + 50 + 8) * pixels
    widening = nn.Sequential(conv(1, 8), conv(8, 50), conv(50, 9))
    assert activation_bytes(widening, 1, 10, 12) == (1 + 50 + 9) * pixels
    # In place, nothing new; views, nothing new.
    inplace = nn.Sequential(conv(1, 8), nn.ReLU(inplace=True), nn.Flatten())
    assert activation_bytes(inplace, 1, 10, 12) == (1 + 8) * pixels


def test_counting_leaves_the_network_as_it_was():
    network = build_network("enet", 3, 4)
    network.bottleneck1_0.eval()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    operations_per_pixel(network, 3, height=64, width=64)
    activation_bytes(network, 3, 64, 64)
    assert network.training
    assert not network.bottleneck1_0.training
    assert all(values.equal(before[name]) for name, values in network.state_dict().items())


def test_bytes_grow_with_pixels():
    network = build_network("segnet", 3, 4, {"width": 4})
    small, large = (activation_bytes(network, 3, size, size) for size in (64, 4096))
    assert large == pytest.approx(4096 * small, rel=0.01)

"""The weights that convolutions begin with."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from gnnseg.baselines.networks.blocks import ConvNorm, init_he


@pytest.mark.parametrize(("slope", "gain"), [(0.0, 2.0), (0.25, 2 / 1.0625)])
def test_weights_have_the_variance_of_he(slope, gain):
    torch.manual_seed(0)
    network = ConvNorm(64, 100, 3, bias=True)
    init_he(network, slope=slope)
    assert network[0].weight.var().item() == pytest.approx(gain / (64 * 9), rel=0.03)
    assert not network[0].bias.any()


@pytest.mark.parametrize(("kernel", "more"), [(2, {}), (3, {"padding": 1, "output_padding": 1})])
@pytest.mark.parametrize("slope", [0.0, 0.25])
def test_a_transposed_convolution_keeps_the_variance(kernel, more, slope):
    """Of values behind a rectifier, as He et al. ask for; PyTorch's fan-in is another one."""
    torch.manual_seed(0)
    conv = nn.ConvTranspose2d(64, 256, kernel, stride=2, **more)
    init_he(conv, slope=slope)
    with torch.inference_mode():
        values = functional.leaky_relu(torch.randn(2, 64, 20, 20), slope)
        assert conv(values).square().mean().item() == pytest.approx(1, rel=0.1)

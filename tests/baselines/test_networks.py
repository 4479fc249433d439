"""The convolutional networks: sizes of the papers, any image, where values go, and weights."""

from __future__ import annotations

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from gnnseg.baselines import make_cnn_config
from gnnseg.baselines.networks import NETWORKS, REACH, build_network
from gnnseg.baselines.networks.aspp import ASPP, RATES, ImageNorm
from gnnseg.baselines.networks.padding import pad_to_multiple
from gnnseg.baselines.networks.resnet import STRIDE, ResNet50
from gnnseg.errors import MissingDependencyError, UsageError

TINY = {
    "deeplabv3plus": {"width": 4},
    "enet": {},
    "gated-scnn": {"width": 4},
    "segnet": {"width": 2},
    "unet": {"width": 2},
    "unet-classic": {"width": 2},
}
STRAIGHT = {"enet": {"dropout": (0.0, 0.0)}, "unet-classic": {"width": 2, "dropout": 0.0}}
ALL = sorted(NETWORKS)


def tiny(name, num_channels=3):
    torch.manual_seed(0)
    return build_network(name, num_channels, 4, TINY[name])


def straight(name):
    """Without dropout."""
    torch.manual_seed(0)
    return build_network(name, 3, 4, STRAIGHT.get(name, TINY[name]))


def settled(name):
    """In evaluation, with the statistics of an image that was seen, as after some training."""
    torch.manual_seed(0)
    network = build_network(name, 3, 4, TINY[name])
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None  # the mean of all batches
    with torch.no_grad():
        network.train()(torch.rand(2, 3, 64, 64))
    return network.eval()


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "channels", "classes", "options", "millions"),
    [
        ("unet-classic", 1, 2, {"batch_norm": False}, 31.030658),
        ("unet", 3, 11, {"width": 16}, 1.948587),
        ("unet", 3, 11, {"width": 64}, 31.11),
        ("unet", 3, 11, {"features": [64, 64, 128, 256, 512, 64]}, 7.905163),
        # 0.37, and 29.46 for SegNet, in the hardware requirements of arXiv:1606.02147, which do not
        # tell for how many classes, nor whether the biases before batch norm count (7,936, here).
        ("enet", 3, 19, {}, 0.37),
        ("segnet", 3, 12, {}, 29.449932),
        ("segnet", 3, 21, {}, 29.46),
    ],
)
def test_parameters_are_as_many_as_published(name, channels, classes, options, millions):
    network = build_network(name, channels, classes, options)
    digits = len(f"{millions}".partition(".")[2])
    assert round(count(network) / 1e6, digits) == millions


def test_resnet_has_the_parameters_of_its_paper():
    """25.56 million with the classifier, which has 2,049 x 1,000."""
    assert count(ResNet50(3)) + 2049 * 1000 == 25_557_032


def conv_norm(inner, outer, kernel):
    """A convolution without bias, and batch norm's factors and summands."""
    return inner * outer * kernel**2 + 2 * outer


def test_parameters_of_deeplab_and_gated_scnn_by_hand():
    """No paper gives a figure for ResNet-50: encoder, pyramid, decoder and shape stream in turn."""
    encoder = 25_557_032 - 2049 * 1000
    pyramid = 2 * conv_norm(2048, 256, 1) + 3 * conv_norm(2048, 256, 3)
    pyramid += conv_norm(5 * 256, 256, 1)
    decoder = conv_norm(256, 48, 1) + conv_norm(256 + 48, 256, 3) + conv_norm(256, 256, 3)
    deeplab = encoder + pyramid + decoder
    assert count(build_network("deeplabv3plus", 3, 21)) == deeplab + 257 * 21
    ends = 65 * 16 + 16 + 17  # from the regular stream, from the gradient, to the border
    blocks = 3 * 2 * conv_norm(16, 16, 3)
    gates = sum(16 + channels + 2 + 16 * 16 for channels in (512, 1024, 2048))
    borders = 256  # one channel more into the end of the pyramid
    expected = deeplab + ends + blocks + gates + borders + 257 * 19
    assert count(build_network("gated-scnn", 3, 19)) == expected


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=4)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    training=st.booleans(),
    batch=st.integers(1, 2),
    channels=st.sampled_from([1, 2, 3, 5]),
)
def test_any_size_comes_out_as_it_went_in(name, height, width, training, batch, channels):
    network = tiny(name, channels).train(training)
    logits = network(torch.rand(batch, channels, height, width))
    assert logits.shape == (batch, 4, height, width)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_gradients_reach_every_parameter(name):
    network = straight(name).train()
    x, labels = torch.rand(2, 3, 64, 64), torch.randint(4, (2, 64, 64))
    logits, extra = network(x), 0
    if hasattr(network, "forward_train"):
        logits, extra = network.forward_train(x, labels, 255)
    (functional.cross_entropy(logits, labels) + extra).backward()
    for parameter, values in network.named_parameters():
        assert values.grad is not None, parameter
        assert values.grad.abs().sum() > 0, parameter


@pytest.mark.parametrize("name", ALL)
def test_evaluation_repeats_itself_and_no_image_sees_another(name):
    network = settled(name)
    x = torch.rand(2, 3, 40, 50)
    with torch.inference_mode():
        before = network(x)
        x[0] = torch.rand(3, 40, 50)
        after = network(x)
    assert torch.equal(after[1], before[1])
    assert not torch.equal(after[0], before[0])


@pytest.mark.parametrize("name", ALL)
def test_the_order_in_memory_changes_roundings_only(name):
    network = settled(name)
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        plain = network(x)
        last = network.to(memory_format=torch.channels_last)(
            x.contiguous(memory_format=torch.channels_last)
        )
    assert (last - plain).abs().max() < 1e-3 * plain.std()


@pytest.mark.parametrize("name", ALL)
def test_half_precision_trains(name):
    network = tiny(name).train()
    x, labels = torch.rand(2, 3, 64, 64), torch.randint(4, (2, 64, 64))
    with torch.autocast("cpu", torch.bfloat16):
        logits, extra = network(x), torch.zeros(())
        if hasattr(network, "forward_train"):
            logits, extra = network.forward_train(x, labels, 255)
    assert extra.dtype == torch.float32
    (functional.cross_entropy(logits.float(), labels) + extra).backward()
    assert all(values.grad.isfinite().all() for values in network.parameters())


@pytest.mark.parametrize("name", ALL)
def test_the_output_bias_is_added_to_the_logits(name):
    network = settled(name)
    x, shift = torch.rand(1, 3, 33, 47), torch.tensor([1.0, -2.0, 0.5, 8.0])
    with torch.inference_mode():
        before = network(x)
        network.output_bias.add_(shift)
        assert torch.allclose(network(x) - before, shift[:, None, None], atol=1e-5)


@pytest.mark.parametrize("name", ["enet", "segnet", "unet", "unet-classic"])
def test_pixels_far_away_change_nothing(name):
    """No normalisation by what the image shows: the answer would depend on the tile."""
    network = settled(name)
    x = torch.rand(1, 3, 1024, 32)
    other = torch.cat([x[:, :, :-32], torch.rand(1, 3, 32, 32)], dim=2)
    with torch.inference_mode():
        difference = (network(x) - network(other)).abs().amax(dim=(0, 1, 3))
    assert difference[-32:].max() > 0
    assert difference[:64].max() == 0


def test_deeplab_sees_the_mean_of_the_image():
    """As in the paper: everything depends on everything."""
    network = settled("deeplabv3plus")
    x = torch.rand(1, 3, 608, 32)
    other = torch.cat([x[:, :, :-32], torch.rand(1, 3, 32, 32) + 1], dim=2)
    with torch.inference_mode():
        assert (network(x) - network(other))[:, :, :64].abs().max() > 0


@given(
    height=st.integers(1, 80), width=st.integers(1, 80), multiple=st.sampled_from([1, 8, 16, 32])
)
def test_padding_repeats_the_last_row_and_column(height, width, multiple):
    x = torch.rand(1, 2, height, width)
    padded = pad_to_multiple(x, multiple)
    rows = torch.arange(padded.shape[2]).clamp(max=height - 1)
    columns = torch.arange(padded.shape[3]).clamp(max=width - 1)
    assert torch.equal(padded, x[:, :, rows][:, :, :, columns])
    for size, found in ((height, padded.shape[2]), (width, padded.shape[3])):
        smallest = next(n for n in range(32, 200) if n >= size and n % multiple == 0)
        assert found == smallest


@pytest.mark.parametrize("name", sorted(REACH))
def test_outer_taps_learn_from_crops_of_the_default_size(name):
    """And from none that their reach is as large as."""
    torch.manual_seed(0)
    pyramid = ASPP(2, 8).eval()
    widest = pyramid.atrous[RATES.index(max(RATES))][0]

    def corners(pixels):
        pyramid.zero_grad()
        pyramid(torch.rand(1, 2, pixels // STRIDE, pixels // STRIDE)).sum().backward()
        return widest.weight.grad[:, :, ::2, ::2].abs().sum(dim=(0, 1))

    assert (corners(make_cnn_config(model=name).crop) > 0).all()
    assert not corners(REACH[name]).any()
    assert corners(REACH[name] + STRIDE).any()


def test_segnet_puts_values_back_where_maxima_were():
    """With identities for convolutions, what comes out are the largest of each 32 x 32 pixels."""
    network = build_network("segnet", 1, 1, {"width": 1}).eval()
    for conv in network.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)
            for channel in range(min(conv.weight.shape[:2])):
                conv.weight.data[channel, channel, 1, 1] = 1
    x = torch.rand(1, 1, 64, 96)
    with torch.inference_mode():
        logits = network(x)
    largest = functional.max_pool2d(x, 32).repeat_interleave(32, 2).repeat_interleave(32, 3)
    expected = torch.where(x == largest, x, 0)
    assert torch.equal(logits > 0, expected > 0)
    assert torch.allclose(logits, expected, rtol=1e-3)  # batch norm divides by sqrt(1 + 1e-5)


def test_enet_takes_the_places_of_the_pooling_of_the_same_size():
    network = tiny("enet").eval()
    seen = {}

    def note(name):
        return lambda _, inputs, output: seen.update({name: (inputs, output)})

    for name in ("bottleneck1_0", "bottleneck2_0", "bottleneck4_0", "bottleneck5_0"):
        getattr(network, name).register_forward_hook(note(name))
    with torch.inference_mode():
        network(torch.rand(1, 3, 64, 64))
    assert seen["bottleneck4_0"][0][1] is seen["bottleneck2_0"][1][1]
    assert seen["bottleneck5_0"][0][1] is seen["bottleneck1_0"][1][1]
    assert seen["bottleneck5_0"][1].shape == (1, 16, 32, 32)


def test_one_image_is_normalised_by_what_was_seen_before():
    norm = ImageNorm(3).train()
    norm.running_mean.fill_(2)
    norm.running_var.fill_(4)
    assert torch.allclose(norm(torch.full((1, 3, 1, 1), 6.0)), torch.tensor(2.0), atol=1e-4)
    assert (norm.running_mean == 2).all()
    norm(torch.rand(2, 3, 1, 1))
    assert (norm.running_mean != 2).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg", {}, "no network is named 'vgg': choose one of deeplabv3plus, enet"),
        ("enet", {"width": 8}, "enet has no option width; its options: dropout"),
        ("unet", {"width": 0}, "whole number from 1 to 1024, got 0"),
        ("unet", {"width": "8"}, "whole number from 1 to 1024, got '8'"),
        ("unet", {"features": [8, 8]}, "six whole numbers"),
        ("unet-classic", {"dropout": 1}, "dropout must be a number from 0 to below 1, got 1"),
        ("enet", {"dropout": 0.1}, "dropout must be two numbers"),
        ("gated-scnn", {"width": 2}, "whole number from 4"),
    ],
)
def test_what_does_not_fit_is_an_error(name, options, message):
    with pytest.raises(UsageError, match=message):
        build_network(name, 3, 2, options)


def test_without_monai_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'gnnseg\[baselines\]'"):
        build_network("unet", 3, 2)

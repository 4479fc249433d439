"""The convolutional networks by name; naming them loads nothing heavy."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gnnseg.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

NETWORKS = {
    "deeplabv3plus": ("deeplab", "DeepLabV3Plus"),
    "enet": ("enet", "ENet"),
    "gated-scnn": ("gscnn", "GatedSCNN"),
    "segnet": ("segnet", "SegNet"),
    "unet": ("unet", "UNet"),
    "unet-classic": ("unet_classic", "ClassicUNet"),
}
"""The module below this package and the class of each network."""
REACH = {"deeplabv3plus": 288, "gated-scnn": 288}
"""Pixels from the middle of a network's widest convolution to its outer taps, where that is far: in
smaller inputs, these see nothing but padding."""
VGG16 = "segnet"
"""The network whose encoder is that of VGG-16: it has a method `load_vgg16(path)`."""


def check_name(name: Any) -> None:
    """Raise `UsageError` unless a network has that name."""
    if not isinstance(name, str) or name not in NETWORKS:
        raise UsageError(
            f"no network is named {name!r}: choose one of {', '.join(sorted(NETWORKS))}"
        )


def network_title(name: str, options: dict[str, Any]) -> str:
    """A network and its options, in a few words.

    >>> network_title("unet", {"width": 8})
    'unet, width 8'
    """
    return "".join([name, *(f", {option} {value}" for option, value in options.items())])


def network_class(name: str) -> type[nn.Module]:
    """The class of a network; raises `UsageError` where there is none of that name."""
    check_name(name)
    module, kind = NETWORKS[name]
    found: type[nn.Module] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found


def build_network(
    name: str, num_channels: int, num_classes: int, options: dict[str, Any] | None = None
) -> nn.Module:
    """A network with fresh weights.

    Parameters
    ----------
    name : str
        A key of `NETWORKS`.
    num_channels, num_classes : int
        Of the images (B, channels, H, W) float32 that it takes, and of the logits (B, classes, H,
        W) float32 that it gives, for any height and width.
    options : dict
        Keyword arguments of the network's class.

    Returns
    -------
    torch.nn.Module
        With the attributes `multiple`, what height and width are padded to a multiple of inside,
        and `output_bias`, (classes,), which logits shift with. One with losses of its own has a
        method `forward_train(x, labels, ignore_index) -> (logits, loss)`.

    Raises
    ------
    UsageError
        There is no network of that name, or its options are others.
    MissingDependencyError
        MONAI, which brings `unet`, is not installed.

    Examples
    --------
    >>> import torch
    >>> network = build_network("enet", 3, 12).eval()
    >>> with torch.inference_mode():
    ...     network(torch.zeros(1, 3, 50, 61)).shape
    torch.Size([1, 12, 50, 61])
    """
    network = network_class(name)
    options = options or {}
    arguments = inspect.signature(network).parameters.values()
    known = [argument.name for argument in arguments if argument.kind is argument.KEYWORD_ONLY]
    if unknown := sorted(set(options) - set(known)):
        raise UsageError(
            f"{name} has no option {', '.join(unknown)}; its options: {', '.join(known)}"
        )
    return network(num_channels, num_classes, **options)

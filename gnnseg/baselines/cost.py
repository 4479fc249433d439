"""What a network costs at inference: operations, and bytes of what it computes on the way.

Both are counted on tensors without values, so that a network of any size on an image of any size
takes neither time nor memory.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from gnnseg.baselines.tiles import stretches

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel


def operations_per_pixel(
    network: nn.Module, num_channels: int, *, height: int = 512, width: int = 512
) -> float:
    """Operations of one inference per pixel of the input; a multiplication and an addition are two.

    Convolutions and matrix products are counted, as FlopCounterMode of torch does; normalisation,
    rectifiers, pooling and resizing are not.

    >>> operations_per_pixel(nn.Conv2d(3, 8, 3, padding=1), 3)
    432.0
    """
    with FlopCounterMode(display=False) as counter, _without_values(network) as run:
        run(num_channels, height, width)
    return counter.get_total_flops() / (height * width)


def input_operations(model: PixelModel, height: int, width: int) -> int:
    """Operations of the network of a model on one input of that size."""
    each = operations_per_pixel(
        model.network, model.scaling.num_channels, height=height, width=width
    )
    return round(each * height * width)


def tile_operations(model: PixelModel, shape: tuple[int, int]) -> int:
    """Operations of the network on one tile of a plane of `shape`; all its tiles have one size."""
    return input_operations(model, *(min(model.tile, side) for side in shape))


def plane_operations(model: PixelModel, shape: tuple[int, int]) -> int:
    """Operations of the network on a plane of `shape`: on all its tiles, which overlap."""
    down, across = (len(stretches(side, model.tile, model.overlap)) for side in shape)
    return tile_operations(model, shape) * down * across


def activation_bytes(network: nn.Module, num_channels: int, height: int, width: int) -> int:
    """The most bytes that the tensors of one inference take at once, input and output included.

    For one image, float32. Weights do not count, nor what a single operation takes for itself
    (a convolution's copies of its input in another order, for example).

    >>> activation_bytes(nn.Conv2d(3, 8, 3, padding=1), 3, 10, 10)  # 3 and 8 channels of 100 pixels
    4400
    """
    with _without_values(network) as run, _LiveBytes() as live:
        run(num_channels, height, width)
    return live.peak


@contextmanager
def _without_values(network: nn.Module) -> Iterator[Any]:
    """A function that runs the network as in evaluation, on the meta device."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    tensors = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    modes = [(module, module.training) for module in network.modules()]

    def run(num_channels: int, height: int, width: int) -> None:
        image = torch.empty(1, num_channels, height, width, device="meta")
        functional_call(network, tensors, image)

    network.eval()
    try:
        with torch.no_grad():
            yield run
    finally:
        for module, training in modes:
            module.training = training


class _LiveBytes(TorchDispatchMode):
    """Adds up the bytes of the tensors that operations make, until they are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0
        self._seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage in self._seen:
            return
        self._seen.add(storage)
        self._now += storage.nbytes()
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._remove, storage.nbytes())

    def _remove(self, size: int) -> None:
        self._now -= size

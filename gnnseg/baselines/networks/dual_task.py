"""Losses that make borders and classes agree, after Takikawa et al., arXiv:1907.05740, section 3.

What the paper leaves open is decided here: sums are means, so that a loss does not grow with the
image; the smoothing has a deviation of one pixel; a border of labels is two pixels wide; borders
of predicted and true classes are compared where either has one.
"""

from __future__ import annotations

import torch
from torch.nn import functional

EDGE_WEIGHT = 20.0
"""Of the borders' cross entropy, the paper's lambda 1; the other terms weigh 1."""
CERTAIN = 0.8
"""Probability of a border from which on its class is asked for."""
TEMPERATURE = 1.0
"""Of the softmax that stands for the largest class where gradients go back."""
FAINT = 1e-3
"""Strength below which there is no border."""


def dual_task_loss(
    logits: torch.Tensor, edges: torch.Tensor, labels: torch.Tensor, ignore_index: int
) -> torch.Tensor:
    """What is added to the cross entropy of the classes.

    Parameters
    ----------
    logits : (B, classes, H, W) float32
    edges : (B, H, W) float32
        Logits of a pixel lying on a border.
    labels : (B, H, W) int64
    ignore_index : int
        The label of pixels without one; nothing depends on what is predicted there.

    Returns
    -------
    scalar tensor
        20 times the balanced cross entropy of the borders, plus the difference of borders of the
        predicted and true classes, plus the cross entropy of the classes on predicted borders.
    """
    with torch.autocast(logits.device.type, enabled=False):
        logits, edges = logits.float(), edges.float()
        loss = EDGE_WEIGHT * edge_loss(edges, labels, ignore_index)
        loss = loss + border_difference(logits, labels, ignore_index)
        return loss + border_cross_entropy(logits, edges, labels, ignore_index)


def label_edges(labels: torch.Tensor, ignore_index: int) -> torch.Tensor:
    """Pixels (B, H, W) bool with another class among the 8 around them; unlabelled ones count not.

    >>> labels = torch.tensor([[[0, 0, 1, 255, 0]]])
    >>> label_edges(labels, 255).int().tolist()
    [[[0, 1, 1, 0, 0]]]
    """
    known = labels != ignore_index
    values = labels[:, None].float()
    lowest = torch.where(known[:, None], values, torch.inf)
    highest = torch.where(known[:, None], values, -torch.inf)
    differ = functional.max_pool2d(highest, 3, 1, 1) != -functional.max_pool2d(-lowest, 3, 1, 1)
    return differ[:, 0] & known


def edge_loss(edges: torch.Tensor, labels: torch.Tensor, ignore_index: int) -> torch.Tensor:
    """Cross entropy of borders, whose pixels weigh the share of the others and the reverse.

    The balance is that of Xie and Tu, arXiv:1504.06375, equation 2.
    """
    known = labels != ignore_index
    target = label_edges(labels, ignore_index)
    count = known.sum().clamp(min=1)
    share = target.sum() / count
    weight = torch.where(target, 1 - share, share) * known
    losses = functional.binary_cross_entropy_with_logits(
        edges, target.float(), weight=weight, reduction="sum"
    )
    return losses / count


def border_difference(
    logits: torch.Tensor, labels: torch.Tensor, ignore_index: int
) -> torch.Tensor:
    """Mean difference of the strengths of predicted and true borders, where either is.

    Forward, the prediction is the most likely class; backward, a softmax with Gumbel noise.
    """
    known = labels != ignore_index
    truth = _one_hot(torch.where(known, labels, 0), logits.shape[1])
    predicted, true = border_strength(_straight_through(logits)), border_strength(truth)
    # The strength of a pixel comes from 7 x 7 pixels.
    unknown = functional.max_pool2d((~known)[:, None].float(), 7, 1, 3)[:, 0] > 0
    border = ((predicted > FAINT) | (true > FAINT)) & ~unknown
    return ((predicted - true).abs() * border).sum() / border.sum().clamp(min=1)


def border_cross_entropy(
    logits: torch.Tensor, edges: torch.Tensor, labels: torch.Tensor, ignore_index: int
) -> torch.Tensor:
    """Mean cross entropy of the classes over pixels that surely lie on a border."""
    border = (edges.sigmoid() > CERTAIN) & (labels != ignore_index)
    losses = functional.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="none")
    return (losses * border).sum() / border.sum().clamp(min=1)


def border_strength(classes: torch.Tensor) -> torch.Tensor:
    """`|gradient(smooth(classes))| / sqrt(2)`, (B, H, W) of (B, classes, H, W).

    Two classes meet at a border, hence the root.
    """
    flat = classes.flatten(0, 1)[:, None]
    smooth = functional.conv2d(
        functional.pad(flat, (2, 2, 2, 2), mode="replicate"), _gaussian(flat)
    )
    return _length(_sobel(smooth).unflatten(0, classes.shape[:2]).flatten(1, 2)) / 2**0.5


def grey_gradient(x: torch.Tensor) -> torch.Tensor:
    """Length (B, 1, H, W) of the gradient of the mean channel of images (B, C, H, W)."""
    return _length(_sobel(x.mean(dim=1, keepdim=True)))[:, None]


def _straight_through(logits: torch.Tensor) -> torch.Tensor:
    noise = -torch.empty_like(logits).exponential_().log()
    soft = ((logits + noise) / TEMPERATURE).softmax(dim=1)
    return _one_hot(logits.argmax(dim=1), logits.shape[1]) + soft - soft.detach()


def _one_hot(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    return functional.one_hot(labels, num_classes).movedim(-1, 1).float()


def _sobel(x: torch.Tensor) -> torch.Tensor:
    """Changes (N, 2, H, W) from pixel to pixel, down and right, of (N, 1, H, W)."""
    across = x.new_tensor([[1, 2, 1]]).mT @ x.new_tensor([[-1, 0, 1]]) / 8
    kernels = torch.stack([across.mT, across])[:, None]
    return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernels)


def _gaussian(x: torch.Tensor) -> torch.Tensor:
    """A kernel (1, 1, 5, 5) of deviation 1."""
    line = torch.arange(-2.0, 3.0, device=x.device).square().mul(-0.5).exp()
    line = line / line.sum()
    return (line[:, None] * line).to(x.dtype)[None, None]


def _length(x: torch.Tensor) -> torch.Tensor:
    """Length (N, H, W) of vectors (N, D, H, W); without a gradient where it is nearly 0."""
    return x.square().sum(dim=1).clamp(min=1e-12).sqrt()

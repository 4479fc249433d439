"""Rare classes: weights from how often they occur, and regions drawn evenly by class."""

from __future__ import annotations

import numpy as np
import torch


def class_weights(
    pixels: np.ndarray, kind: str, *, beta: float = 0.9999, sample: int = 1
) -> np.ndarray:
    """Weights (classes,) float32 from the pixels of each class; 0 for those without a pixel.

    Parameters
    ----------
    pixels : (classes,) or (images, classes) array
        Labelled pixels of all images, or of each.
    kind : {"none", "enet", "median", "effective"}
        `enet`: 1 / ln(1.02 + share), Paszke et al., arXiv:1606.02147, section 5.1. `median`:
        median frequency over frequency, which is the pixels of a class over those of the images
        in which it occurs, Eigen and Fergus, arXiv:1411.4734, section 6.3.2.
        `effective`: (1 - beta) / (1 - beta**number), Cui et al., arXiv:1901.05555, equation 3,
        scaled so that the weights of the classes present sum to their number.
    beta : float
        From 0, where all classes weigh the same, to almost 1: one over their frequency.
    sample : int
        Pixels that `effective` counts as one.

    Examples
    --------
    >>> class_weights(np.array([80, 40, 0]), "median").tolist()
    [0.75, 1.5, 0.0]
    >>> class_weights(np.array([[60, 40, 0], [100, 0, 0]]), "median").tolist()
    [0.75, 1.5, 0.0]
    """
    images = np.atleast_2d(pixels)
    pixels = images.sum(axis=0)
    share = pixels / max(1, pixels.sum())
    present = share > 0
    if kind == "none" or not present.any():
        return present.astype(np.float32)
    if kind == "enet":
        weights = 1 / np.log(1.02 + share)
    elif kind == "median":
        around = (images > 0).T @ images.sum(axis=1)
        frequency = pixels / np.maximum(around, 1)
        weights = np.median(frequency[present]) / np.maximum(frequency, frequency[present].min())
    else:
        weights = _effective(np.maximum(pixels, pixels[present].min()) / sample, beta)
        weights *= present.sum() / weights[present].sum()
    return np.where(present, weights, 0).astype(np.float32)


def _effective(number: np.ndarray, beta: float) -> np.ndarray:
    """One over the effective number of samples, without loss of digits near a beta of 1."""
    if beta == 0:
        return np.ones(len(number))
    return (1 - beta) / -np.expm1(number * np.log(beta))


def main_class(counts: torch.Tensor) -> torch.Tensor:
    """The commonest class of each region, (N,) int64, from (N, classes); -1 where all are 0."""
    most, index = counts.max(dim=1)
    return torch.where(most > 0, index, -1)


def regions_by_class(counts: torch.Tensor) -> np.ndarray:
    """How many regions have each class as their commonest, (classes,) int64."""
    found = main_class(counts)
    return torch.bincount(found[found >= 0], minlength=counts.shape[1]).cpu().numpy()


def draw_weights(regions: np.ndarray) -> np.ndarray:
    """How often `balanced_draws` draws a region of each class on average, (classes,).

    From the regions of each class in what it draws from at a time: (classes,), or (parts, classes)
    of several parts. A class is drawn from those that have it only. 0 for classes never seen.

    >>> draw_weights(np.array([30, 10, 0])).round(3).tolist()
    [0.667, 2.0, 0.0]
    >>> draw_weights(np.array([[20, 0, 0], [10, 10, 0]])).round(3).tolist()
    [1.0, 1.0, 0.0]
    """
    parts = np.atleast_2d(regions)
    present = parts > 0
    each = np.maximum(1, parts.sum(axis=1) // np.maximum(1, present.sum(axis=1)))
    return (each @ present) / np.maximum(1, parts.sum(axis=0))


def balanced_draws(counts: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """How often each region is drawn, (N,) float32, when each class gets as many draws.

    A class is that of most pixels. As many regions as are labelled are drawn in all; a class with
    fewer than its share is drawn with repetition, another without.
    """
    found = main_class(counts)
    present = found[found >= 0].unique()
    draws = counts.new_zeros(len(counts))
    if not len(present):
        return draws
    each = max(1, int((found >= 0).sum()) // len(present))
    for label in present:
        members = (found == label).nonzero()[:, 0]
        if len(members) >= each:
            order = torch.randperm(len(members), generator=generator, device=members.device)
            chosen = members[order[:each]]
        else:
            shape, device = (each,), members.device
            index = torch.randint(len(members), shape, generator=generator, device=device)
            chosen = members[index]
        draws += torch.bincount(chosen, minlength=len(counts))
    return draws

"""What the processes of one training tell each other; a single one talks to itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import torch


class Ranks(Protocol):
    """Processes 0 to `size - 1` that train one network together; this one is `rank`."""

    rank: int
    size: int

    def agree(self, values: Sequence[float]) -> list[float]:
        """The values of process 0."""
        ...

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes."""
        ...

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Let every gradient be the sum over all processes."""
        ...

    def average(self, values: Iterable[torch.Tensor], share: float) -> None:
        """Let float tensors be their mean over all processes; the shares of these sum to one."""
        ...

    def gather(self, states: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Tensors of one shape and type of all processes: the first of each, then the second."""
        ...


class Alone:
    """The only process."""

    rank, size = 0, 1

    def agree(self, values: Sequence[float]) -> list[float]:
        return list(values)

    def total(self, values: np.ndarray) -> np.ndarray:
        return values

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """There is nothing to add."""

    def average(self, values: Iterable[torch.Tensor], share: float) -> None:
        """There is nothing to average."""

    def gather(self, states: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return list(states)


class Connected:
    """One of several, joined by `torch.distributed`, whose process group must have begun."""

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self._device = rank, size, device

    def agree(self, values: Sequence[float]) -> list[float]:
        shared = torch.tensor(values, dtype=torch.float64, device=self._device)
        torch.distributed.broadcast(shared, 0)
        return shared.tolist()

    def total(self, values: np.ndarray) -> np.ndarray:
        shared = torch.from_numpy(values.copy()).to(self._device)
        torch.distributed.all_reduce(shared)
        return shared.cpu().numpy()

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """In one exchange; a gradient that no process has stays None."""
        chosen = list(parameters)
        flags = [float(p.grad is not None) for p in chosen]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in chosen]
        known = torch.tensor(flags, device=self._device)
        flat = torch.cat([known, *(part.detach().reshape(-1) for part in parts)])
        torch.distributed.all_reduce(flat)
        known, rest = flat[: len(chosen)], flat[len(chosen) :]
        sums = rest.split([p.numel() for p in chosen])
        for p, has, total in zip(chosen, known.tolist(), sums, strict=True):
            p.grad = total.view_as(p).clone() if has else None

    def average(self, values: Iterable[torch.Tensor], share: float) -> None:
        """In one exchange."""
        chosen = list(values)
        if not chosen:
            return
        flat = share * torch.cat([value.reshape(-1) for value in chosen])
        torch.distributed.all_reduce(flat)
        means = flat.split([value.numel() for value in chosen])
        for value, mean in zip(chosen, means, strict=True):
            value.copy_(mean.view_as(value))

    def gather(self, states: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        own = torch.stack(list(states)).to(self._device)
        every = [torch.empty_like(own) for _ in range(self.size)]
        torch.distributed.all_gather(every, own)
        return [state.cpu() for states in zip(*every, strict=True) for state in states]

"""How a training went."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """Loss, val mIoU, learning rate and seconds by epoch; the best one, its shift and temperature.

    The val mIoU of an epoch is that with the class weights undone as far as val likes it best:
    `shift` says how far, of the best epoch.
    """

    loss: list[float] = field(default_factory=list)
    val_miou: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = -1
    shift: float = 0.0
    temperature: float = 1.0

    @property
    def best_miou(self) -> float:
        return self.val_miou[self.best_epoch] if self.val_miou else float("nan")

    def add(self, loss: float, miou: float, shift: float, rate: float, seconds: float) -> bool:
        """Append an epoch; whether it is the best so far."""
        is_best = self.best_epoch < 0 or not miou <= self.best_miou
        if is_best:
            self.best_epoch, self.shift = len(self.loss), shift
        self.loss.append(loss)
        self.val_miou.append(miou)
        self.learning_rate.append(rate)
        self.seconds.append(seconds)
        return is_best

    def note(self) -> str:
        """The last epoch in a few words."""
        loss, miou = self.loss[-1], self.val_miou[-1]
        return f"loss {loss:.3f}  val mIoU {miou:.4f}  best {self.best_miou:.4f}"

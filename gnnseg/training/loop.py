"""What all training loops do: epochs until a bound is met, checkpoints, the best weights."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnseg.errors import StateError, UsageError
from gnnseg.ledger import staged
from gnnseg.log import LOGGER
from gnnseg.models.size import num_parameters
from gnnseg.training.checkpoint import ANEW, Checkpoint, Earlier
from gnnseg.training.history import History
from gnnseg.training.interrupt import Interrupt, held_interrupt
from gnnseg.training.ranks import Alone, Ranks
from gnnseg.training.schedule import learning_rate

if TYPE_CHECKING:
    from gnnseg.ledger import Ledger
    from gnnseg.metrics import ConfusionMatrix
    from gnnseg.training.learning import LearningConfig
    from gnnseg.training.state import State

LEAST_WAIT = 0.1
"""Share of a training without a better epoch before patience may end it: epochs of few images are
short, and the learning rate has hardly fallen after 20."""
LEAST_SECONDS = 0.6
"""That a training goes on for, even if its minutes were over before."""
LEAST_EPOCH = 0.1
"""Share of an epoch that is still begun when minutes run out."""
UPDATES, VALIDATION = "updates", "validation"
"""Stages of a training in its ledger; what comes before them is named by who makes it."""
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far the class weights may be undone in the logits: val chooses, in every epoch."""


def pick_device(name: str, rank: int = 0, size: int = 1) -> torch.device:
    """The device of that name for process `rank` of `size`; `auto` takes GPUs where there are."""
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cuda" and not found:
        raise UsageError("--device cuda: this PyTorch sees no GPU; use --device cpu or auto")
    if name == "cpu" or not found:
        return torch.device("cpu")
    if size > found:
        raise UsageError(f"--devices {size}: there are {found} GPUs; use fewer, or --device cpu")
    return torch.device("cuda", rank) if size > 1 else torch.device("cuda")


class Loop(ABC):
    """Trains the network of a `state`.

    `deadline` is when it should be over by the clock `time.time`, which all processes of a machine
    share; None where its minutes have no bound. `ranks` are the processes that share the work,
    each with the same arguments; `asked` says that process 0 should stop.
    """

    def __init__(
        self,
        state: State,
        config: LearningConfig,
        *,
        deadline: float | None = None,
        ranks: Ranks | None = None,
        asked: Callable[[], bool] = lambda: False,
    ) -> None:
        self.state, self.config, self.ranks = state, config, ranks or Alone()
        self.checkpoint: Checkpoint | None = None
        self.ledger: Ledger | None = None
        self._asked = asked
        self._deadline = deadline
        self._seconds: float | None = None
        self._ticked = time.monotonic()

    @abstractmethod
    def _train_epoch(self, asked: Callable[[], bool]) -> None:
        """The updates of an epoch that are still to be done."""

    @abstractmethod
    def _validate(self) -> Sequence[ConfusionMatrix]:
        """What the averaged weights say of val, with each of `SHIFTS`, or the first of them."""

    @abstractmethod
    def _finish(self) -> None:
        """What is left to do once the averaged weights are the best ones, and their shift known.

        Process 0 may look at all of val once more by itself.
        """

    def resume(self, checkpoint: Checkpoint, earlier: Earlier | None) -> None:
        """Keep the training in a checkpoint, and take up what one holds of an `earlier` part.

        Process 0 writes it.
        """
        self.checkpoint = checkpoint
        if earlier is None:
            return
        try:
            self.state.restore(earlier.tensors, earlier.about)
        except StateError as error:
            raise StateError(f"{checkpoint.path}: {error}; {ANEW}") from error

    def run(
        self,
        watch: Callable[[History], None] = lambda _history: None,
        ledger: Ledger | None = None,
    ) -> History:
        """Train until the epochs, the minutes or the patience run out; keep the best weights.

        `watch` is called after each epoch. With a checkpoint, Ctrl-C leaves one behind. A `ledger`
        records the stages `UPDATES` and `VALIDATION`.
        """
        state, self.ledger = self.state, ledger
        self._ticked = time.monotonic()
        if self._deadline is not None:
            self._seconds = state.place.seconds + self._seconds_left(self._deadline)
        holds = held_interrupt() if self.checkpoint else nullcontext(Interrupt())
        with holds as interrupt:

            def asked() -> bool:
                return interrupt.asked or self._asked()

            while self._goes_on():
                with staged(ledger, UPDATES):
                    self._train_epoch(asked)
                with staged(ledger, VALIDATION):
                    miou, shift = self._timed_validation()
                state.end_epoch(miou, shift)
                # First: a plot without a checkpoint would be taken for somebody else's.
                self._keep(asked, end_of_epoch=True)
                watch(state.history)
            state.average.load_state_dict(state.best)
            with staged(ledger, VALIDATION):
                self._finish()
        if ledger is not None:
            count = num_parameters(state.network)
            ledger.tell(UPDATES, parameters=count)
            ledger.tell(VALIDATION, parameters=count)
        state.network.load_state_dict(state.average.state_dict())
        state.network.eval().cpu()
        return state.history

    def _seconds_left(self, deadline: float) -> float:
        """At least `LEAST_SECONDS`; warns where they are over before the first update."""
        left = deadline - time.time()
        if left <= 0 and self.state.place.updates == 0 and self.ranks.rank == 0:
            LOGGER.warning(
                "the minutes were over before training began, as its preparation took them all: "
                "the network is hardly trained; give it more than %g of them (--max-minutes)",
                self.config.max_minutes,
            )
        return max(left, LEAST_SECONDS)

    def _goes_on(self) -> bool:
        """Whether there is another epoch, or the rest of one."""
        self._tick()  # checkpoints and plots take time, too
        place, history = self.state.place, self.state.history
        if place.epoch >= self.config.epochs or not self._is_patient():
            return False
        if self._seconds is None or not history.seconds or place.step > 0:
            return True
        needed = LEAST_EPOCH * max(history.seconds) + self._kept_free()
        return bool(self.ranks.agree([place.seconds + needed <= self._seconds])[0])

    def _kept_free(self) -> float:
        """Seconds for what comes after the last update, as far as they are known."""
        return (1 + self.ranks.size) * (self.state.place.validation or 0)

    def _is_patient(self) -> bool:
        """Whether a better epoch may still come."""
        history = self.state.history
        waited = self.state.place.epoch - history.best_epoch
        if waited <= self.config.patience:
            return True
        share = waited / self.config.epochs
        if self._seconds is not None:
            share = max(share, sum(history.seconds[history.best_epoch + 1 :]) / self._seconds)
        return bool(self.ranks.agree([share < LEAST_WAIT])[0])

    def _timed_validation(self) -> tuple[float, float]:
        """The best val mIoU and its shift, of equals the first; what it takes is noted."""
        self._tick()
        place = self.state.place
        before = place.seconds
        mious = [matrix.present_miou for matrix in self._validate()]
        self._tick()
        place.validation = place.seconds - before
        best = max(mious)
        return best, SHIFTS[mious.index(best)]

    def _undo_weights(self, prior: torch.Tensor) -> None:
        """Undo the class weights, whose logarithms these are, in the bias of the last layer."""
        with torch.no_grad():
            self.state.average.output_bias.sub_(self.state.history.shift * prior)

    def _begin_update(self, position: float, asked: Callable[[], bool]) -> bool:
        """Before each update, after `position` epochs: the checkpoint, and the learning rate.

        False if the minutes are over: the epoch ends here, unless it has had no update yet,
        without which it would have no loss.
        """
        self._tick()
        self._keep(asked)
        done = position / self.config.epochs
        if self._seconds is not None:
            place = self.state.place
            used = place.seconds / max(self._seconds - self._kept_free(), 1e-9)
            (used,) = self.ranks.agree([used])
            if used >= 1 and place.step > 0:
                return False
            done = max(done, used)
        for group in self.state.optimiser.param_groups:
            group["lr"] = learning_rate(done, self.config)
        return True

    def _keep(self, asked: Callable[[], bool], *, end_of_epoch: bool = False) -> None:
        """Write the checkpoint, if there is one and it is due, or if the training is to stop."""
        if self.checkpoint is None:
            return
        due = self.checkpoint.is_due(end_of_epoch=end_of_epoch)
        stop, due = map(bool, self.ranks.agree([asked(), due]))
        if stop or due:
            random = self.ranks.gather([random.get_state() for random in self.state.random])
            if self.ranks.rank == 0:
                self.checkpoint.write(self.state, random)
        if stop:
            raise KeyboardInterrupt

    def _update(self) -> None:
        """Let the optimiser follow the gradients, whose norm may be bounded.

        Raises `UsageError` where it is not finite: all weights would be lost.
        """
        bound = self.config.gradient_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.state.network.parameters(), bound)
        if not norm.isfinite():
            raise UsageError(
                f"the training diverges: its gradients are not finite after "
                f"{self.state.place.updates} updates; use a learning_rate below "
                f"{self.config.learning_rate:g}"
            )
        self.state.update()
        self.state.place.step += 1

    def _count(self, stage: str, operations: Callable[[], int]) -> None:
        """Tell the ledger of operations, if there is one."""
        if self.ledger is not None:
            self.ledger.add(stage, operations=operations())

    def _total(self, value: float) -> float:
        """The sum over all processes."""
        return float(self.ranks.total(np.array([value], np.float64))[0])

    def _tick(self) -> None:
        """Add the time since the last tick."""
        now = time.monotonic()
        self.state.place.epoch_seconds += now - self._ticked
        self.state.place.seconds += now - self._ticked
        self._ticked = now

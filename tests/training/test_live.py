"""What shows a training while it runs."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import MissingDependencyError, StateError
from gnnseg.training import live, make_config, train
from gnnseg.training.history import History
from gnnseg.training.live import LivePlot, TensorBoardLog, watching

HISTORY = History([0.9, 0.5, 0.4], [0.2, 0.6, 0.5], [1e-3, 9e-4, 1e-4], [1.0, 1, 1], 1)


def until(epochs):
    parts = HISTORY.loss, HISTORY.val_miou, HISTORY.learning_rate
    return History(*(part[:epochs] for part in parts))


def scalars_of(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, pytest.approx(event.value, rel=1e-6)) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def expected_scalars(history):
    return {
        "loss/train": list(enumerate(history.loss)),
        "miou/val": list(enumerate(history.val_miou)),
        "learning_rate": list(enumerate(history.learning_rate)),
    }


def test_a_plot_is_drawn_at_once_and_then_now_and_then(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    drawn = []
    monkeypatch.setattr(live, "draw_plot", lambda history, *_: drawn.append(len(history["loss"])))
    plot = LivePlot(tmp_path / "p.png", "mlp")
    for seconds in (0, 1, 18.9, 0.2, 5, 40, 1):
        now[0] += seconds
        plot(HISTORY)
    assert len(drawn) == 3


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_plot_shows_loss_miou_and_rate(tmp_path, epochs):
    history = History(
        HISTORY.loss[:epochs], HISTORY.val_miou[:epochs], HISTORY.learning_rate[:epochs]
    )
    history.best_epoch = epochs // 2
    LivePlot(tmp_path / "p.png", "mlp")(history)
    pixels = np.asarray(Image.open(tmp_path / "p.png").convert("RGB")).astype(int)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x66, 0x66, 0x66)):
        assert (np.abs(pixels - colour).sum(axis=2) < 30).sum() > 20, colour
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


def test_a_plot_that_cannot_be_written_stops_no_training(tmp_path, caplog):
    LivePlot(tmp_path / "none" / "p.png", "mlp")(HISTORY)
    assert "p.png" in caplog.text
    (tmp_path / "link.png").symlink_to(tmp_path / "elsewhere.png")
    LivePlot(tmp_path / "link.png", "mlp")(HISTORY)
    assert "link.png: exists and is no regular file" in caplog.text


def test_a_plot_in_place_of_an_image_is_refused_before_any_work(tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "slide.png")
    with pytest.raises(StateError, match="no picture that gnnseg drew"):
        train(tmp_path / "no-set", plot=tmp_path / "slide.png", preset="mlp")


def test_tensorboard_has_every_epoch_once(tmp_path):
    config = make_config(preset="mlp")
    log = TensorBoardLog(tmp_path, config)
    log(until(2))
    lost = until(3)
    lost.loss[2] = 9.0  # written, but after the last checkpoint
    log(lost)
    log.close()
    resumed = TensorBoardLog(tmp_path, config, first_epoch=2)
    resumed(HISTORY)
    resumed.close()
    assert scalars_of(tmp_path) == expected_scalars(HISTORY)


def test_without_tensorboard_the_message_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'gnnseg\[tensorboard\]'"):
        train("nowhere", tensorboard=tmp_path)
    with watching(make_config(), None, 0) as watch:
        watch(HISTORY)


def test_a_training_draws_and_logs(tmp_path):
    dataset = synthetic_dataset(3, height=48, width=48, num_classes=3, val=0.4)
    model = train(
        dataset, preset="mlp", epochs=3, step=8, n_iter=1,
        tensorboard=tmp_path / "events", plot=tmp_path / "p.png",
    )  # fmt: skip
    history = History(**model.training["history"])
    assert scalars_of(tmp_path / "events") == expected_scalars(history)
    assert (tmp_path / "p.png").stat().st_size > 5000
    assert "tensorboard" not in model.training["config"]

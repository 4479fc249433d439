"""Pictures that gnnseg drew are replaced, and no other file."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gnnseg.errors import DiskError, StateError
from gnnseg.io import write_rgb_png
from gnnseg.io.picture import MARK, check_picture, replacing_picture
from gnnseg.pipeline.ceiling_plot import save_ceiling_plot
from gnnseg.training.plot import draw_plot

HISTORY = {"loss": [1.0, 0.5], "val_miou": [0.1, 0.2], "learning_rate": [1, 1], "best_epoch": 1}
CEILING = {
    "dataset": "set",
    "split": "val",
    "rows": [{"step": 8, "ceiling_miou": 0.9, "per_class_iou": {"a": 0.9}}],
    "suggestion": {"step": None, "rule": "knee", "target": None},
}
DRAW = {
    "training": lambda path: draw_plot(HISTORY, "mlp", path),
    "ceiling": lambda path: save_ceiling_plot(CEILING, path),
}


def save_jpeg(path):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(path, format="JPEG")


FOREIGN = {
    "png": lambda path: write_rgb_png(path, np.zeros((9, 9), np.uint8)),
    "jpeg": save_jpeg,
    "text": lambda path: path.write_text("precious"),
    "nothing": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("kind", sorted(DRAW))
def test_a_picture_of_gnnseg_is_replaced(tmp_path, kind):
    path = tmp_path / "p.png"
    DRAW[kind](path)
    with Image.open(path) as image:
        assert MARK.items() <= image.info.items()
    before = path.read_bytes()
    DRAW[kind](path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("foreign", sorted(FOREIGN))
def test_no_other_file_is_replaced(tmp_path, foreign):
    path = tmp_path / "p.png"
    FOREIGN[foreign](path)
    before = path.read_bytes()
    for draw in (*DRAW.values(), check_picture):
        with pytest.raises(StateError, match=r"p\.png: exists and is no picture that gnnseg drew"):
            draw(path)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


def test_a_place_where_nothing_can_be_written(tmp_path):
    with pytest.raises(DiskError, match="does not exist"), replacing_picture(tmp_path / "a" / "b"):
        pass

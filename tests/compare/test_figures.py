"""What the figures of the report draw, looked at before it is a picture."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from gnnseg.report.figures import _draw_accuracy, _draw_curves, _draw_memory, epoch_ends
from gnnseg.report.stages import _SECONDS, _draw_stages
from gnnseg.report.theme import LIGHT, WIDTH, legend, settings


@pytest.fixture
def figure():
    with mpl.rc_context(settings(LIGHT)):
        drawn = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        FigureCanvasSVG(drawn)
        yield drawn


def named(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def accuracy(model, miou, *, converged):
    peaks = {"peak_above_bytes": 2**28, "training_peak_above_bytes": 2**31}
    return {"model": model, "miou": miou, "miou_spread": None, "converged": converged, **peaks}


def test_models_that_are_alike_are_told_apart_by_the_legend(figure):
    rows = [accuracy("a", 0.5, converged=True), accuracy("b", 0.5001, converged=False)]
    _draw_accuracy(figure, rows=rows, models=["a", "b"])
    assert named(figure) == ["a", "b *"]
    assert list(figure.axes[0].texts) == []


def test_the_end_of_a_curve_is_hollow_unless_it_is_flat(figure):
    about = {"seed": 0, "minutes": 2.0, "val_miou": [0.1, None, 0.3], "epoch_seconds": None}
    rows = [{**about, "model": m, "flattened": flat} for m, flat in (("a", True), ("b", False))]
    _draw_curves(figure, rows=rows, models=["a", "b"])
    flat, other = figure.axes[0].lines
    assert named(figure) == ["a", "b"]
    assert flat.get_markevery() == other.get_markevery() == [-1]
    assert flat.get_markerfacecolor() == flat.get_color()
    assert other.get_markerfacecolor() == "none"
    assert flat.get_ydata()[-1] == pytest.approx(30)


def test_stages_are_stacked_in_order_and_the_rest_closes_the_bar(figure):
    stages = {"regions": {"seconds": 2.0}, "paint": {"seconds": 0.5}}
    rows = [{"model": "ours", "seconds": 3.0, "stages": stages}]
    _draw_stages(figure, groups=[rows], unit=_SECONDS)
    (axis,) = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for group in axis.containers for bar in group]
    assert bars == [(0.0, 2.0), (2.0, 0.5), (2.5, 0.5)]
    assert named(figure) == ["regions", "paint", "between stages"]
    assert [text.get_text() for text in axis.texts] == ["3.0 s"]


def test_crosses_stand_side_by_side_and_memory_is_in_the_legend(figure):
    def row(model, memory, status):
        peak = {"peak_rss_bytes": 2**29} if status == "done" else {}
        return {"model": model, "memory": memory, "size": 1024, "status": status, **peak}

    rows = [
        row("a", "1GiB", "done"), row("b", "1GiB", "refused"), row("c", "1GiB", "killed"),
        row("a", "2GiB", "done"), row("b", "2GiB", "done"), row("c", "2GiB", "refused"),
    ]  # fmt: skip
    _draw_memory(figure, rows=rows, models=["a", "b", "c"])
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    at = [(*line.get_xdata(), *line.get_ydata()) for line in crosses if len(line.get_xdata())]
    assert at == [(1024, 1024), (pytest.approx(1024 * 1.12), 1024), (1024, 2048)]
    assert named(figure) == ["a", "b", "c", "may take 1GiB", "may take 2GiB"]


@pytest.mark.parametrize(("length", "columns"), [(3, 3), (16, 2), (40, 1)])
def test_a_legend_is_not_wider_than_its_figure(figure, length, columns):
    axis = figure.subplots()
    for number in range(5):
        axis.plot([0, 1], label=f"{number}-default-refined-on-nine-unet-of-width-8"[:length])
    legend(figure, *axis.get_legend_handles_labels())
    figure.draw_without_rendering()
    (drawn,) = figure.legends
    assert drawn._ncols == columns
    extent = drawn.get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.width


def test_epochs_end_when_they_did_and_not_evenly():
    """What came before the first one, superpixels for example, is not spread over all."""
    curve = {"minutes": 3.0, "val_miou": [0.1, 0.2, 0.3]}
    assert epoch_ends({**curve, "epoch_seconds": [30.0, 10.0, 20.0]}) == pytest.approx(
        [2.5, 2 + 2 / 3, 3.0]
    )
    assert epoch_ends({**curve, "epoch_seconds": None}) == pytest.approx([1.0, 2.0, 3.0])
    assert epoch_ends({"minutes": 3.0, "val_miou": []}) == []

"""The page: it holds the figures, and loads nothing from anywhere."""

from __future__ import annotations

import base64
import copy
import re
from html.parser import HTMLParser

import pytest

from gnnseg.cli.compare import _marks
from gnnseg.report import theme, write_report
from gnnseg.report.page import count, percent
from gnnseg.report.theme import COLORS, MARKERS

EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "rect", "source"}


class Page(HTMLParser):
    """Collects text, addresses and tags, and checks that tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.source = text
        self.addresses, self.tags, self.words, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        names = ("src", "srcset", "href", "action", "data", "poster")
        self.addresses += [value for name, value in attrs if name in names]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def summary(finished):
    return copy.deepcopy(finished[1])


@pytest.fixture(scope="module")
def whole(finished, tmp_path_factory):
    """The text of the page, with its figures."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(finished[1], path)
    return path.read_text(encoding="utf-8")


@pytest.fixture
def page_of(monkeypatch, tmp_path):
    """The page of a summary; its figures are left blank."""

    def make(summary):
        monkeypatch.setattr(theme, "_svg", lambda *_: "data:image/svg+xml,")
        write_report(summary, tmp_path / "report.html")
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return make


def test_it_loads_nothing_from_outside(whole):
    page = Page(whole)
    for address in page.addresses:
        assert address.startswith(("data:image/", "#")), address
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    style = re.search(r"<style>(.*?)</style>", whole, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    for found in re.findall(r'"data:image/svg\+xml;base64,([^"]+)"', whole):
        svg = base64.b64decode(found).decode()
        assert re.findall(r'(?:href|src)="(?!#|data:)([^"]*)"', svg) == []


def test_it_holds_the_figures_of_every_model(summary, whole):
    text = Page(whole).text
    for row in summary["accuracy"]:
        assert row["model"] in text
        assert percent(row["miou"]) in text
        assert count(row["parameters"]) in text
        assert count(row["operations_per_pixel"]) in text
    for name in summary["accuracy"][0]["per_class_iou"]:
        assert name in text
    for row in summary["large"]:
        for stage in row.get("stages", {}).values():
            assert count(stage["operations"]) in text
    for row in summary["failures"]:
        assert " ".join(row["reason"].split()) in text
    for row in summary["trainings"]:
        assert row["why"] in text
    assert summary["machines"][0]["label"] in text
    assert summary["machines"][0]["machine"]["versions"]["torch"] in text


def test_what_has_not_converged_is_marked(summary, page_of):
    before = page_of(summary).text.count("not converged")
    for row in (*summary["accuracy"], *summary["trainings"]):
        row["converged"] = row["flattened"] = True
    after = page_of(summary).text.count("not converged")
    assert before - after == len(summary["accuracy"]) + len(summary["trainings"])


def test_seeds_without_a_result_are_told_of(summary, page_of):
    assert "of 2 seeds" not in page_of(summary).text
    summary["accuracy"][0]["missing_seeds"] = [1]
    first = summary["accuracy"][0]
    assert f"perceptron {percent(first['miou'])} 1 of 2 seeds" in page_of(summary).text
    assert _marks(first) == ["not converged", "1 of 2 seeds"]


def test_a_model_without_an_accuracy_has_a_row(summary, page_of):
    summary["accuracy"][0]["miou"] = None
    text = page_of(summary).text
    assert "perceptron –" in text
    assert f"published {percent(summary['accuracy'][1]['miou'])}" in text


def test_each_class_has_its_column_whatever_the_order(summary, page_of):
    """Folders of several machines may have listed the classes otherwise."""
    for row, values in zip(summary["accuracy"], ((0.111, 0.222), (0.444, 0.333)), strict=True):
        names = ("sky", "road") if values[0] < values[1] else ("road", "sky")
        row["per_class_iou"] = dict(zip(names, values, strict=True))
    text = page_of(summary).text
    assert "model sky road perceptron 11.1 22.2 published 33.3 44.4" in text
    del summary["accuracy"][1]["per_class_iou"]["sky"]
    assert "published – 44.4" in page_of(summary).text


def test_names_are_text_and_no_markup(summary, page_of):
    name = '<script>alert("$x$")</script>'
    summary["accuracy"][0]["model"] = summary["large"][-1]["model"] = name
    page = page_of(summary)
    assert "script" not in page.tags
    assert name in page.text


def test_pictures_of_all_models_are_in_the_page(summary, whole):
    page = Page(whole)
    pictures = [a for a in page.addresses if a.startswith("data:image/png")]
    assert len(pictures) == len(summary["pictures"]) * (2 + len(summary["accuracy"]))


def test_black_pixels_of_pictures_are_in_the_legend(summary, page_of):
    colors = [item["color"] for item in summary["classes"]["made"]]
    assert [0, 0, 0] not in map(list, colors)
    assert "class_3 no label" in page_of(summary).text
    summary["classes"]["made"][0]["color"] = [0, 0, 0]
    assert "no label" not in page_of(summary).text
    assert f"--columns: {2 + len(summary['accuracy'])}" in page_of(summary).source


def test_figures_stand_for_both_grounds(whole):
    figures = re.findall(r"<figure>.*?</figure>", whole, re.DOTALL)
    assert len(figures) == 5
    for figure in figures:
        dark, light = re.findall(r'"(data:image/svg[^"]+)"', figure)
        assert dark != light
        assert re.search(r'alt="[^"]+"', figure)


def test_a_training_tells_the_seconds_of_its_epochs(summary):
    for row in summary["trainings"]:
        assert len(row["epoch_seconds"]) == len(row["val_miou"])
        assert 0 < sum(row["epoch_seconds"]) < 60 * row["minutes"]


def test_stages_of_trainings_are_drawn_and_listed(summary, page_of):
    first, second = summary["trainings"]
    first |= {"seconds": 90.0, "resumed": True}
    second["seconds"] = 300.0
    page = page_of(summary)
    assert "minutes of the stages: perceptron 1.5 min; published 5.0 min" in page.source
    for stage in ("regions", "updates", "validation"):
        assert f"perceptron † {stage} " in page.text
        assert f"published {stage} " in page.text
    assert "stages are those of its last part" in page.text
    for row in (first, second):  # as earlier versions had them
        row["stages"] = {}
    assert "minutes of the stages" not in page_of(summary).source


def test_parts_of_a_stage_stand_beside_its_name(summary, page_of):
    *_, row = summary["large"]
    row["stages"]["finish"]["thread_seconds"] = {"read": 1.0, "network": 3.0}
    assert "finish (read 25.0, network 75.0 %)" in page_of(summary).text


def test_figures_of_a_device_stand_where_one_was_used(summary, page_of):
    figures = {
        "peak_device_bytes": 3 * 2**20,
        "peak_device_reserved_bytes": 5 * 2**20,
        "device_idle_share": 0.25,
        "host_to_device_bytes": 2**20,
        "device_to_host_bytes": 2**20,
        "host_device_gb_per_second": 1.5,
    }
    unused = {**dict.fromkeys(figures, 0), "device_idle_share": None}
    unused["host_device_gb_per_second"] = None
    *_, row = summary["large"]
    row["stages"] = {"finish": {**row["stages"]["finish"], **figures, "parameters": 2_345_678}}
    row |= figures
    (other,) = [r for r in summary["large"][:-1] if r["status"] == "done"]
    other |= unused
    other["stages"] = {"finish": {**other["stages"]["finish"], **unused}}
    told = "3.0 MiB 5.0 MiB 25.0 2.0 MiB 1.50"
    assert told not in page_of(summary).text
    summary["machines"][0]["machine"]["gpu"] = "A GPU"
    text = page_of(summary).text
    assert f"2.3 M {told}" in text
    assert f"{count(row['parameters'])} {told}" in text
    trained = sum(len(training["stages"]) for training in summary["trainings"])
    assert text.count("– – – – –") == trained + 2  # and of the image, in all and its stage
    assert "above its start" not in text


def test_colours_and_shapes_of_models_differ_together():
    pairs = {(COLORS[n % len(COLORS)], MARKERS[n % len(MARKERS)]) for n in range(90)}
    assert len(pairs) == 90


def test_a_run_that_failed_is_no_image_that_did_not_fit(summary, page_of):
    def said():
        texts = re.findall(r"(\d+) runs did not fit", page_of(summary).source)
        return [int(number) for number in texts]

    assert said() == [2]
    refused = [row for row in summary["large"] if row["status"] == "refused"]
    refused[0]["status"] = "failed"
    assert said() == [1]
    for row in summary["large"]:
        row["status"] = "failed"
    assert said() == []


def test_a_comparison_without_any_result_has_a_page(summary, page_of):
    empty = {key: type(value)() for key, value in summary.items()}
    empty["configuration"] = summary["configuration"]
    assert "How it was measured" in page_of(empty).text


def test_several_machines_have_a_table(summary, page_of):
    other = copy.deepcopy(summary["machines"][0])
    other["label"] = "Another machine"
    summary["machines"].append(other)
    figures = {"status": "done", "seconds": 12.3, "peak_above_bytes": 2**20}
    slower = {**figures, "seconds": 18.45}
    labels = [part["label"] for part in summary["machines"]]
    row = {"dataset": "made", "model": "perceptron", "work": "training", "alike": True}
    pairs = ((figures, slower), (figures, {**figures, "status": "killed"}))
    machines = [dict(zip(labels, pair, strict=True)) for pair in pairs]
    summary["against"] = [{**row, "machines": found} for found in machines]
    text = page_of(summary).text
    assert "Machine against machine" in text
    assert "12.3 1.0 MiB 18.4 (1.50 ×) 1.0 MiB" in text
    assert "12.3 1.0 MiB killed" in text
    summary["against"][0]["alike"] = False
    assert "12.3 1.0 MiB 18.4 1.0 MiB" in page_of(summary).text

"""The page: it holds the figures, and loads nothing from anywhere."""

from __future__ import annotations

import base64
import copy
import re
from html.parser import HTMLParser

import pytest

from gnnseg.report import write_report
from gnnseg.report.page import content, count, percent

EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "rect", "source"}


class Page(HTMLParser):
    """Collects text, addresses and tags, and checks that tags are closed."""

    def __init__(self, text):
        super().__init__()
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


def page_of(summary, folder):
    write_report(summary, folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_it_loads_nothing_from_outside(summary, tmp_path):
    page = page_of(summary, tmp_path)
    for address in page.addresses:
        assert address.startswith(("data:image/", "#")), address
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    for found in re.findall(r'"data:image/svg\+xml;base64,([^"]+)"', text):
        svg = base64.b64decode(found).decode()
        assert re.findall(r'(?:href|src)="(?!#|data:)([^"]*)"', svg) == []


def test_it_holds_the_figures_of_every_model(summary, tmp_path):
    text = page_of(summary, tmp_path).text
    for row in summary["accuracy"]:
        assert row["model"] in text
        assert percent(row["miou"]) in text
        assert count(row["parameters"]) in text
        assert count(row["operations_per_pixel"]) in text
    for name in summary["accuracy"][0]["per_class_iou"]:
        assert name in text
    for row in summary["failures"]:
        assert " ".join(row["reason"].split()) in text
    for row in summary["trainings"]:
        assert row["why"] in text
    assert summary["machines"][0]["label"] in text
    assert summary["machines"][0]["machine"]["versions"]["torch"] in text


def test_what_has_not_converged_is_marked(summary, tmp_path):
    before = page_of(summary, tmp_path).text.count("not converged")
    for row in (*summary["accuracy"], *summary["trainings"]):
        row["converged"] = row["flattened"] = True
    after = page_of(summary, tmp_path).text.count("not converged")
    assert before - after == len(summary["accuracy"]) + len(summary["trainings"])


def test_names_are_text_and_no_markup(summary, tmp_path):
    name = '<script>alert("$x$")</script>'
    summary["accuracy"][0]["model"] = summary["large"][-1]["model"] = name
    page = page_of(summary, tmp_path)
    assert "script" not in page.tags
    assert name in page.text


def test_pictures_of_all_models_are_in_the_page(summary, tmp_path):
    page = page_of(summary, tmp_path)
    pictures = [a for a in page.addresses if a.startswith("data:image/png")]
    assert len(pictures) == len(summary["pictures"]) * (2 + len(summary["accuracy"]))


def test_figures_stand_for_both_grounds(summary):
    (part,) = content(summary)["parts"]
    figures = [*part.figures, *part.training_figures, *part.large_figures]
    assert len(figures) == 4
    for figure in figures:
        assert figure.light != figure.dark
        assert figure.text


def test_a_comparison_without_any_result_has_a_page(summary, tmp_path):
    empty = {key: type(value)() for key, value in summary.items()}
    empty["configuration"] = summary["configuration"]
    assert "How it was measured" in page_of(empty, tmp_path).text


def test_several_machines_have_a_table(summary, tmp_path):
    other = copy.deepcopy(summary["machines"][0])
    other["label"] = "Another machine"
    summary["machines"].append(other)
    figures = {"status": "done", "seconds": 12.3, "peak_above_bytes": 2**20}
    slower = {**figures, "seconds": 18.45}
    labels = [part["label"] for part in summary["machines"]]
    row = {"dataset": "made", "model": "perceptron", "work": "training"}
    pairs = ((figures, slower), (figures, {**figures, "status": "killed"}))
    machines = [dict(zip(labels, pair, strict=True)) for pair in pairs]
    summary["against"] = [{**row, "machines": found} for found in machines]
    text = page_of(summary, tmp_path).text
    assert "Machine against machine" in text
    assert "12.3 1.0 MiB 18.4 (1.50 ×) 1.0 MiB" in text
    assert "12.3 1.0 MiB killed" in text

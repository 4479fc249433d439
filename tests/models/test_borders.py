"""What is learnt of borders: the same bits in any company, and from a file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from gnnseg.errors import InputError
from gnnseg.kernels.filters import num_filters
from gnnseg.models import load_model, read_header, save_model
from gnnseg.models.borders import Borders, border_inputs
from gnnseg.models.file import fingerprint


def make_borders(classes, channels):
    torch.manual_seed(0)
    borders = Borders(classes, channels).eval()
    borders.set_statistics(torch.randn(100, borders.mean.numel()))
    return borders


@settings(max_examples=25)
@given(st.data())
def test_a_pixel_has_its_bits_in_any_company(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    classes, channels = data.draw(st.integers(2, 12)), data.draw(st.integers(1, 4))
    borders = make_borders(classes, channels)
    inputs = rng.normal(0, 3, (data.draw(st.integers(1, 300)), borders.mean.numel()))
    inputs = inputs.astype(np.float32)
    whole = borders.logits(inputs)
    chosen = rng.permutation(len(inputs))[: data.draw(st.integers(1, len(inputs)))]
    np.testing.assert_array_equal(borders.logits(inputs[chosen]), whole[chosen])


def test_inputs_are_logits_below_the_largest_and_filters():
    mixed, own = np.array([[1, 3.0]], np.float32), np.array([[-50, 2.0]], np.float32)
    found = border_inputs(mixed, own, np.array([[0.25]], np.float32))
    np.testing.assert_array_equal(found, [[-2, 0, -12, 0, 0.25]])


def test_without_a_correction_the_mixed_logits_come_out():
    borders = Borders(3, 1)
    with torch.no_grad():
        for parameter in borders.layers[4].parameters():
            parameter.zero_()
    inputs = np.random.default_rng(0).normal(0, 1, (7, 6 + num_filters(1))).astype(np.float32)
    np.testing.assert_array_equal(borders.logits(inputs), inputs[:, :3])


def test_constant_inputs_do_no_harm():
    borders = Borders(2, 1)
    borders.set_statistics(torch.ones(50, borders.mean.numel()))
    assert np.isfinite(borders.logits(np.ones((1, borders.mean.numel()), np.float32))).all()


def test_a_file_keeps_them(make_model, tmp_path):
    plain, path = make_model("mlp"), tmp_path / "model.safetensors"
    model = replace(
        plain, borders=make_borders(plain.classes.num_classes, plain.scaling.num_channels)
    )
    save_model(model, path)
    back = load_model(path)
    assert read_header(path)["format_version"] == 6
    wanted = model.borders.state_dict()
    for name, tensor in back.borders.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), wanted[name].numpy())
    assert fingerprint(back) == fingerprint(model) != fingerprint(plain)


def test_a_file_without_them_has_the_format_before(make_model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(make_model("mlp"), path)
    assert read_header(path)["format_version"] == 5
    assert load_model(path).borders is None


@pytest.mark.parametrize(
    "change",
    [
        lambda header, _: header.update(format_version=5),
        lambda _, tensors: [tensors.pop(n) for n in list(tensors) if n.startswith("borders.")],
        lambda _, tensors: tensors.update({"borders.mean": torch.zeros(3)}),
        lambda _, tensors: tensors.pop("borders.std"),
    ],
    ids=["format", "without", "shape", "missing"],
)
def test_a_file_whose_borders_do_not_fit_is_refused(make_model, tmp_path, change):
    plain, path = make_model("mlp"), tmp_path / "model.safetensors"
    borders = make_borders(plain.classes.num_classes, plain.scaling.num_channels)
    save_model(replace(plain, borders=borders), path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["gnnseg"])
    change(header, tensors)
    save_file(tensors, path, metadata={"gnnseg": json.dumps(header)})
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_model(path)

"""Model files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gnnseg.errors import GnnsegError, InputError, MissingInputError
from gnnseg.models import PRESETS, load_model, read_header, save_model


def rewrite(path, change):
    """Write the model file again with another header."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["gnnseg"])
    header = change(header, tensors) or header
    save_file(tensors, path, metadata={"gnnseg": json.dumps(header)})


@pytest.fixture
def saved(make_model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(make_model("mlp"), path)
    return path


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_model_comes_back_with_the_same_bits(make_model, make_table, tmp_path, preset):
    few = {"widths": [8, 8], "down": [1, 1], "up": [1]}
    options = {"default": few, "large": {**few, "stem": {"widths": [4, 6, 8]}}}.get(preset, {})
    model, path = make_model(preset, **options), tmp_path / "model.safetensors"
    save_model(model, path)
    back = load_model(path)
    names = (
        "preset",
        "options",
        "settings",
        "scaling",
        "features",
        "classes",
        "pixel_size",
        "training",
        "temperature",
    )
    for name in names:
        assert getattr(back, name) == getattr(model, name), name
    for name in ("mean", "std"):
        np.testing.assert_array_equal(getattr(back, name), getattr(model, name))
    state = model.network.state_dict()
    for name, tensor in back.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), state[name].numpy())
    table = make_table(0, 9, 9)
    stem = None if model.network.stem is None else np.ones((81, 32), np.float32)
    np.testing.assert_array_equal(back.logits(table, stem), model.logits(table, stem))
    assert back.num_parameters == model.num_parameters
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_the_same_model_gives_the_same_file(make_model, tmp_path):
    for name in ("a", "b"):
        save_model(make_model("jain2023"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_header_tells_what_the_model_is(saved):
    header = read_header(saved)
    assert header["format_version"] == 5
    assert header["preset"] == "mlp"
    assert header["settings"]["step"] == 8


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(MissingInputError, match="gnnseg train"):
        load_model(tmp_path / "none.safetensors")


@pytest.mark.parametrize("load", [load_model, read_header])
@pytest.mark.parametrize("content", [b"", b"hello\n" * 99, b"\xff" * 200, b"\0" * 8, b"PK\3\4" * 9])
def test_other_files_are_refused(tmp_path, load, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.safetensors"):
        load(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_someone_else_are_refused(tmp_path, metadata):
    path = tmp_path / "theirs.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata=metadata)
    for load in (load_model, read_header):
        with pytest.raises(InputError, match="is no model of gnnseg"):
            load(path)


def test_a_truncated_file_is_refused(saved):
    whole = saved.read_bytes()
    for size in (4, 8, 100, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"model\.safetensors"):
            load_model(saved)


@pytest.mark.parametrize("version", [7, 1, None, "2"])
def test_another_format_is_refused(saved, version):
    rewrite(saved, lambda header, _: header.update(format_version=version))
    with pytest.raises(InputError, match="update gnnseg"):
        load_model(saved)


@pytest.mark.parametrize("version", [2, 3])
def test_models_of_earlier_formats_come_back(saved, version):
    """All images have one scale then; and in the second, the temperature is one."""
    model = load_model(saved)

    def older(header, _):
        header.update(format_version=version, temperature=0.5)
        del header["scaling"]["by_image"]
        if version == 2:
            del header["temperature"]

    rewrite(saved, older)
    found = load_model(saved)
    assert found.scaling == model.scaling
    assert found.temperature == {2: 1.0, 3: 0.5}[version]


@pytest.mark.parametrize("options", [{}, {"stem": {}, "dropout": 0.1}])
def test_a_large_model_of_the_formats_before_has_the_widths_of_then(make_model, tmp_path, options):
    model, path = make_model("large", widths=(32, 64, 96, 96, 96)), tmp_path / "large.safetensors"
    save_model(model, path)
    rewrite(path, lambda header, _: header.update(format_version=4, options=options))
    assert load_model(path).num_parameters == model.num_parameters


@pytest.mark.parametrize(
    "wrong",
    [
        lambda header, _: header.pop("scaling"),
        lambda header, _: header.update(settings={"step": 8, "magic": 1}),
        lambda header, _: header.update(settings={"step": 1}),
        lambda header, _: header.update(settings={"step": "8"}),
        lambda header, _: header.update(settings=[]),
        lambda header, _: header.update(preset="unet"),
        lambda header, _: header.update(preset=["mlp"]),
        lambda header, _: header.update(options={"depth": 3}),
        lambda header, _: header.update(options={"hidden": 3}),
        lambda header, _: header.update(options=None),
        lambda header, _: header.update(features=["mean_light"]),
        lambda header, _: header["features"].reverse() or header["features"].append("mean_X"),
        lambda header, _: header.update(features=["magic"] * len(header["features"])),
        lambda header, _: header.update(classes={}),
        lambda header, _: header.update(classes=["a", "b"]),
        lambda header, _: header.update(scaling={"low": 1, "high": 2, "rgb": False}),
        lambda header, _: header.update(scaling={"low": ["a"], "high": ["b"], "rgb": False}),
        lambda header, _: header.update(scaling=None),
        lambda header, _: header.update(pixel_size=3),
        lambda header, _: header.pop("temperature"),
        lambda header, _: header.update(temperature=0),
        lambda header, _: header.update(temperature=float("nan")),
        lambda header, _: header.update(temperature=float("inf")),
        lambda header, _: header.update(temperature="warm"),
        lambda _, tensors: tensors.clear(),
        lambda _, tensors: tensors.update({"features.std": torch.ones(2)}),
        lambda _, tensors: tensors.update({"network.extra": torch.ones(2)}),
        lambda header, _: [header],
        lambda *_: "a model",
        lambda *_: 3,
    ],
)
def test_a_damaged_header_is_an_error_that_names_the_file(saved, wrong):
    def change(header, tensors):
        changed = wrong(header, tensors)
        return changed if isinstance(changed, (list, str, int)) else header

    rewrite(saved, change)
    with pytest.raises(GnnsegError, match=r"model\.safetensors"):
        load_model(saved)

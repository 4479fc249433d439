"""Training settings."""

from __future__ import annotations

import pytest

from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.models import PRESETS
from gnnseg.training import TrainConfig, make_config


def test_defaults_are_the_presets_own():
    assert make_config() == TrainConfig()
    assert make_config(preset="jain2023").preset == "jain2023"


def test_options_stand_over_the_presets_own():
    given = {"dropout": 0.0, "stem": {"blocks": [1, 1]}}
    options = make_config(preset="large", options=given).options
    assert options["widths"] == PRESETS["large"].options["widths"]
    assert options["dropout"] == 0.0
    assert options["stem"] == {"blocks": [1, 1]}


def test_the_file_is_below_the_arguments(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text('preset = "mlp"\nstep = 12\nepochs = 7\n[options]\nhidden = 16\n')
    config = make_config(path, step=20, epochs=None)
    assert (config.preset, config.step, config.epochs) == ("mlp", 20, 7)
    assert config.options == {"hidden": 16}
    assert config.slic.step == 20


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"speed": 3}, "'speed'.*the settings are options, epochs, max_minutes"),
        ({"graph_memory": "plenty"}, "'plenty'"),
        ({"step": 1}, "'step'"),
        ({"step": "many"}, "'step'.*got 'many'"),
        ({"epochs": 0}, "'epochs'"),
        ({"class_weights": "all"}, "'class_weights'"),
        ({"effective_beta": 1.0}, "'effective_beta'"),
        ({"sampling": "some"}, "'sampling'"),
        ({"focal_gamma": -1}, "'focal_gamma'"),
        ({"label_smoothing": 1}, "'label_smoothing'"),
        ({"area_power": 2}, "'area_power'"),
        ({"schedule": "step"}, "'schedule'"),
        ({"power": 0}, "'power'"),
        ({"average": 1}, "'average'"),
        ({"gradient_norm": -1}, "'gradient_norm'"),
        ({"warm_up": 1}, "'warm_up'"),
        ({"learning_rate": float("nan")}, "'learning_rate'"),
        ({"preset": "unet"}, "choose one of"),
        ({"preset": ["mlp"]}, "choose one of"),
        ({"compactness": 1e9}, "compactness"),
    ],
)
def test_wrong_settings_are_named(given, message):
    with pytest.raises(UsageError, match=message):
        _ = make_config(**given).slic


def test_settings_that_came_later_are_told_only_where_they_are_others():
    """A training that began before there were any goes on."""
    before = make_config().identity()
    assert not {"gradient_norm", "warm_up"} & set(before)
    given = {"gradient_norm": 0.0, "warm_up": 0.1}
    assert make_config(**given).identity() == {**before, **given}
    assert make_config(gradient_norm=1.0, warm_up=0.03).identity() == before


def test_an_unknown_key_of_a_file_is_named(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text("epoch = 7\n")
    with pytest.raises(UsageError, match="'epoch'"):
        make_config(path)


@pytest.mark.parametrize("content", [b"epochs = ", b"\xff\xfe\0", b"= 3", b"a = 1\na = 2"])
def test_an_unreadable_file_is_told(tmp_path, content):
    path = tmp_path / "train.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"train\.toml: is no readable TOML file"):
        make_config(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(MissingInputError, match="no such configuration file"):
        make_config(tmp_path / "none.toml")
    with pytest.raises(InputError):
        make_config(tmp_path)


def test_a_configuration_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        make_config().step = 3

"""Settings of a comparison: what is wrong is named by its path."""

from __future__ import annotations

import tomllib

import pytest
import torch

from gnnseg.baselines import CnnConfig
from gnnseg.compare import make_config
from gnnseg.compare.cells import list_cells
from gnnseg.compare.run import check
from gnnseg.compare.trainers import settings_of
from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.training import TrainConfig

SETS = [{"name": "made", "synthetic": {}}]
MODELS = [{"name": "ours", "preset": "default"}, {"name": "theirs", "model": "unet"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sedes": [1]}, "setting 'sedes'"),
        (
            {"models": [*MODELS, {"name": "x", "preset": "mlp", "trainig": {}}]},
            r"models\[2\].train",
        ),
        ({"models": [{"name": "x", "preset": "mlp", "model": "unet"}]}, r"models\[0\]'.* either"),
        ({"models": [{"name": "x"}]}, r"models\[0\]'.* either"),
        ({"models": [{"name": "x", "model": "unet", "refine": True}]}, r"models\[0\]'.* refine"),
        ({"models": [{"name": "x", "preset": "mlp", "borders": True}]}, r"models\[0\]'.* refine"),
        (
            {
                "models": [
                    {"name": "x", "preset": "mlp", "refine": "both"},
                    {"name": "x-refined", "preset": "mlp"},
                ]
            },
            "models must differ, but 'x-refined' is there twice",
        ),
        ({"models": [{"name": "../x", "preset": "mlp"}]}, r"models\[0\].name'.*'../x'"),
        ({"models": [MODELS[0], MODELS[0]]}, "models must differ.*'ours'"),
        ({"models": [{**MODELS[0], "datasets": ["other"]}]}, "ours names the data set 'other'"),
        ({"models": [{**MODELS[0], "training_on": {"other": {}}}]}, "the data set 'other'"),
        ({"datasets": [{"name": "made", "synthetic": {"hight": 3}}]}, r"datasets\[0\].synthetic"),
        ({"segment": {"sizes": [1], "memory": ["1GiB"]}}, r"segment.sizes\[0\]'.*, got 1"),
        ({"segment": {"memory": ["lots"]}}, "'segment'.*'lots' is no size"),
        ({"seeds": []}, "'seeds'"),
        ({"seeds": [1, 1]}, "seeds must differ, but 1"),
    ],
)
def test_a_wrong_setting_is_named_by_its_path(change, message):
    with pytest.raises(UsageError, match=message):
        make_config({"datasets": SETS, "models": MODELS, **change})


def test_a_file_that_is_no_toml_is_an_input_error(tmp_path):
    (tmp_path / "x.toml").write_text("models = [")
    with pytest.raises(InputError, match=r"x\.toml"):
        make_config(tmp_path / "x.toml")
    with pytest.raises(MissingInputError):
        make_config(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"preset": "mlp", "training": {"epoch": 3}}, "model x: training setting 'epoch'"),
        ({"preset": "nonsense"}, "model x: .*nonsense"),
        ({"model": "unet", "training": {"step": 8}}, "model x: training setting 'step'"),
        ({"model": "enet", "options": {"widht": 8}}, "model x: enet has no option widht"),
        ({"preset": "default", "options": {"widht": 8}}, "model x: .*widht"),
        ({"model": "nonsense"}, "model x: .*nonsense"),
        ({"preset": "mlp", "training": {"seed": 8}}, "model x: 'seed' stands beside"),
        ({"preset": "mlp", "training": {"device": "cuda"}}, "model x: .*sees no GPU"),
        ({"model": "enet", "training": {"vgg16": "w"}}, "model x: vgg16: enet has no encoder"),
    ],
)
def test_settings_of_trainings_are_checked_before_any_work(model, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=message):
        check(make_config({"datasets": SETS, "models": [{"name": "x", **model}]}))


def test_a_data_set_that_is_not_there_is_told_before_any_work(tmp_path):
    absent = [{"name": "made", "path": str(tmp_path / "absent")}]
    with pytest.raises(MissingInputError, match="absent"):
        check(make_config({"datasets": absent, "models": MODELS}))


def test_weights_that_are_not_there_are_told_before_any_work(tmp_path):
    training = {"vgg16": str(tmp_path / "absent.safetensors")}
    model = {"name": "x", "model": "segnet", "options": {"width": 2}, "training": training}
    with pytest.raises(MissingInputError, match=r"vgg16: .*absent"):
        check(make_config({"datasets": SETS, "models": [model]}))


def test_cells_are_all_pairs_seeds_sizes_and_memories():
    sets = [*SETS, {"name": "other", "synthetic": {}}]
    models = [MODELS[0], {**MODELS[1], "datasets": ["other"]}]
    segment = {"sizes": [512, 128], "memory": ["1GiB", "2 GiB"], "datasets": ["other"]}
    config = {"datasets": sets, "models": models, "seeds": [0, 7], "segment": segment}
    names = [cell.name for cell in list_cells(make_config(config))]
    assert len(names) == 2 * 2 * 3 + 2 * (1 + 2 * 2)
    assert names[0] == "train-made-ours-0"
    assert {"evaluate-other-theirs-7", "segment-other-theirs-128-2GiB"} <= set(names)
    assert "train-made-theirs-0" not in names
    assert names.index("image-other-128") < names.index("image-other-512")


def test_settings_for_one_data_set_stand_over_the_others():
    model = {**MODELS[0], "training": {"step": 8, "epochs": 2}, "training_on": {"b": {"step": 6}}}
    sets = [{"name": name, "synthetic": {}} for name in "ab"]
    cells = list_cells(make_config({"datasets": sets, "models": [model]}))
    found = {c.name: c.configuration["model"]["training"] for c in cells if c.kind == "train"}
    assert found == {
        "train-a-ours-0": {"step": 8, "epochs": 2},
        "train-b-ours-0": {"step": 6, "epochs": 2},
    }


def test_either_kind_may_train_on_several_devices():
    models = [{**model, "training": {"devices": 2}} for model in MODELS]
    cells = list_cells(make_config({"datasets": SETS, "models": models}))
    found = [settings_of(cell.configuration) for cell in cells if cell.kind == "train"]
    assert [(type(settings), settings.devices) for settings in found] == [
        (TrainConfig, 2),
        (CnnConfig, 2),
    ]


def test_names_that_would_share_a_file_are_an_error():
    sets = [{"name": name, "synthetic": {}} for name in ("a", "a-b")]
    models = [{"name": name, "preset": "mlp"} for name in ("b-c", "c")]
    with pytest.raises(UsageError, match="train-a-b-c-0"):
        list_cells(make_config({"datasets": sets, "models": models}))


def test_the_configurations_of_the_experiments_can_be_read(repo_root):
    """Also the settings of each piece of work, of those that nobody has run."""
    found = {}
    for path in (repo_root / "experiments" / "configs").glob("*.toml"):
        if "models" in tomllib.loads(path.read_text(encoding="utf-8")):
            found[path.stem] = config = make_config(path)
            for cell in list_cells(config):
                if cell.kind == "train":
                    settings_of(cell.configuration)
    assert {name for name in found if f"{name}_full" in found} == {
        *("camvid_segnet", "equal_compute", "jain_table", "memory_frontier"),
    }
    main = found["compare_main"].models
    assert {"small", "default", "jain2023"} <= {model.preset for model in main}
    assert {model.options.get("width") for model in main} >= {8}

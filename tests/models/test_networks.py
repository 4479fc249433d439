"""Whole networks: size, symmetry, batches and windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnseg.blocks import Window
from gnnseg.errors import UsageError
from gnnseg.features import feature_names
from gnnseg.models import PRESETS, get_preset, select_features
from gnnseg.models.group import FEATURES, LOGITS, STEM, run_groups
from gnnseg.models.level import Level, concatenate
from gnnseg.models.presets import build_network
from gnnseg.models.size import num_parameters
from gnnseg.superpixels import Scaling

_FEW = {"widths": (8, 12, 16), "down": (1, 2, 1), "up": (1, 1)}
SMALL = {"default": _FEW, "large": {**_FEW, "stem": {"widths": (6, 8, 12), "out_channels": 5}}}
SCALING = Scaling((0.0,), (255.0,), rgb=False)
ALL = sorted(PRESETS)


def logits(model, states, levels):
    with torch.inference_mode():
        return run_groups(model.network.eval(), states, dict(enumerate(levels)))


def inputs(model, table):
    """What a network starts from, with states of a stem at random, and its levels."""
    states = {FEATURES: model.standardise(table.x.reshape(table.window.size, -1))}
    if model.network.stem is not None:
        states[STEM] = torch.randn(table.window.size, model.network.stem.out_channels)
    return states, model.levels(table)


def whole_logits(model, table):
    """Of a table alone, with states of a stem that depend on the area of a region."""
    stem = None
    if model.network.stem is not None:
        stem = np.repeat(table.area.reshape(-1, 1) / 100, model.network.stem.out_channels, axis=1)
        stem = stem.astype(np.float32)
    return model.logits(table, stem)


def test_jain2023_has_the_published_number_of_parameters():
    network = build_network(get_preset("jain2023"), 11, 2, SCALING, {})
    assert sum(p.numel() for p in network.parameters()) == 2946


@pytest.mark.parametrize("preset", ALL)
def test_every_parameter_is_of_one_group_or_of_the_stem(preset, make_model):
    network = make_model(preset, **SMALL.get(preset, {})).network
    parts = [network.modules_of(group) for group in network.groups]
    parts += [] if network.stem is None else [(network.stem,)]
    found = [id(p) for modules in parts for module in modules for p in module.parameters()]
    assert sorted(found) == sorted(map(id, network.parameters()))
    assert sum(num_parameters(*modules) for modules in parts) == num_parameters(network)


def test_jain2023_reads_eleven_intensity_features():
    for scaling in (Scaling((0.0,), (1.0,), False), Scaling((0.0,) * 3, (1.0,) * 3, True)):
        names = select_features(get_preset("jain2023"), scaling, place=True)
        assert len(names) == 11
        assert names[0] == ("mean_light" if scaling.rgb else "mean_channel_0")


def test_place_is_a_choice():
    scaling = Scaling((0.0,), (1.0,), False)
    names = feature_names(1, rgb=False)
    assert select_features(get_preset("default"), scaling, place=True) == names
    assert select_features(get_preset("mlp"), scaling, place=False) == names[:-2]


def test_features_may_be_named_by_patterns():
    scaling, preset = Scaling((0.0,) * 3, (1.0,) * 3, True), get_preset("jain2023")
    chosen = select_features(preset, scaling, place=True, patterns=("place_*", "mean_light"))
    assert chosen == ("mean_light", "place_y", "place_x")
    with pytest.raises(UsageError, match=r"no feature fits 'lights\*': there are mean_light"):
        select_features(preset, scaling, place=True, patterns=("mean_light", "lights*"))


@pytest.mark.parametrize("sizes", [([8], [1], []), ([8, 8], [1, 1], [1, 1]), ([8, 8], [1], [1])])
def test_levels_that_do_not_fit_each_other_are_refused(sizes):
    options = dict(zip(("widths", "down", "up"), sizes, strict=True))
    with pytest.raises(UsageError, match="layers down for two levels or more"):
        build_network(get_preset("default"), 11, 2, SCALING, options)


def test_unknown_presets_and_options_are_refused(make_model):
    with pytest.raises(UsageError, match="choose one of default, jain2023, large, mlp, small"):
        get_preset("unet")
    with pytest.raises(UsageError, match="choose one of"):
        get_preset(["default"])
    for preset in ALL:
        with pytest.raises(UsageError, match="no_such_option"):
            make_model(preset, no_such_option=3)


@pytest.mark.parametrize(
    ("preset", "options", "words"),
    [
        *((preset, {"dropout": 1}, "dropout must be a number from 0 to below 1") for preset in ALL),
        ("default", {"dropout": "some"}, "dropout must be"),
        ("large", {"stem": {"widths": [16, 32]}}, "three widths"),
        ("large", {"stem": {"blocks": [1]}}, "two numbers of blocks"),
        ("large", {"stem": {"widths": [16, 8, 4]}}, r"rise from the image's \d channels on"),
        ("large", {"stem": {"widths": [16, 16, 32]}}, "rise from the image's"),
        ("large", {"stem": 3}, "do not fit"),
        ("mlp", {"hidden": -1}, "do not fit"),
        ("default", {"widths": ["a", "b"], "down": [1, 1], "up": [1]}, "do not fit"),
    ],
)
def test_options_that_no_network_can_have_are_refused(preset, options, words):
    with pytest.raises(UsageError, match=words):
        build_network(get_preset(preset), 11, 2, SCALING, options)


@pytest.mark.parametrize("preset", ALL)
def test_groups_lead_from_features_to_logits(make_model, preset):
    network = make_model(preset, 5).network
    known = {FEATURES} if network.stem is None else {FEATURES, STEM}
    for group in network.groups:
        assert {name for name, _ in group.inputs} <= known
        assert all(abs(level - group.level) <= 1 for _, level in group.inputs)
        known.add(group.output)
    last = network.groups[-1]
    assert (last.output, last.level, last.channels) == (LOGITS, 0, 5)
    assert max(group.level for group in network.groups) == network.num_levels - 1


@pytest.mark.parametrize("preset", ALL)
def test_logits_of_a_table(make_model, make_table, preset):
    model, table = make_model(preset, 4), make_table(0, 9, 14)
    result = whole_logits(model, table)
    assert result.shape == (9 * 14, 4)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert len(np.unique(result[:, 0].round(4))) > 20


def permuted(level, nodes, parents):
    """A level with its nodes in another order, whose parents are in another order too."""
    place = torch.argsort(nodes)
    edges = torch.randperm(level.edge_index.shape[1])
    return Level(
        place[level.edge_index][:, edges],
        level.edge_attr[edges],
        level.area[nodes],
        torch.argsort(parents)[level.parent[nodes]],
        level.num_parents,
    )


@pytest.mark.parametrize("preset", ALL)
def test_the_order_of_nodes_and_edges_does_not_matter(make_model, make_table, preset):
    model = make_model(preset, **SMALL.get(preset, {}))
    states, levels = inputs(model, make_table(1, 11, 12))
    orders = [torch.randperm(level.num_nodes) for level in levels]
    orders.append(torch.randperm(levels[-1].num_parents))
    moved = [permuted(level, *orders[i : i + 2]) for i, level in enumerate(levels)]
    expected = logits(model, states, levels)
    got = logits(model, {name: x[orders[0]] for name, x in states.items()}, moved)
    torch.testing.assert_close(got, expected[orders[0]], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("preset", ALL)
def test_a_graph_in_a_batch_gives_what_it_gives_alone(make_model, make_table, preset):
    model = make_model(preset, **SMALL.get(preset, {}))
    sizes = [(6, 9), (13, 4), (1, 1), (7, 7)]
    parts = [inputs(model, make_table(n, *size)) for n, size in enumerate(sizes)]
    alone = torch.cat([logits(model, *part) for part in parts])
    states = {name: torch.cat([part[0][name] for part in parts]) for name in parts[0][0]}
    levels = [concatenate(level) for level in zip(*(part[1] for part in parts), strict=True)]
    np.testing.assert_array_equal(logits(model, states, levels).numpy(), alone.numpy())


@pytest.mark.parametrize("preset", ALL)
def test_empty_regions_do_not_speak(make_model, make_table, preset):
    """What stands in the row of an empty region changes no other region."""
    model = make_model(preset, **SMALL.get(preset, {}))
    table = make_table(2, 10, 10, empty=0.3)
    states, levels = inputs(model, table)
    empty = torch.from_numpy(table.area.ravel() == 0)
    expected = logits(model, states, levels)[~empty]
    for x in states.values():
        x[empty] = 100.0
    np.testing.assert_array_equal(logits(model, states, levels)[~empty].numpy(), expected.numpy())


@pytest.mark.parametrize("preset", ["jain2023", "mlp"])
def test_a_window_with_the_halo_gives_the_bits_of_the_whole(make_model, make_table, preset):
    model, table = make_model(preset), make_table(3, 34, 31)
    (group,) = model.network.groups
    whole = model.logits(table).reshape(34, 31, -1)
    write = Window(13, 20, 12, 17)
    read = write.grow(group.halo).clip(table.window)
    assert read.size < table.window.size
    part = model.logits(table.crop(read)).reshape(*read.shape, -1)
    np.testing.assert_array_equal(part[write.relative_to(read).slices], whole[write.slices])


def test_one_cell_less_of_halo_is_not_enough(make_model, make_table):
    model, table = make_model("jain2023"), make_table(3, 34, 31, empty=0.4)
    (group,) = model.network.groups
    whole = model.logits(table).reshape(34, 31, -1)
    wrong = 0
    for write in Window(10, 24, 10, 21).split(1):
        read = write.grow(group.halo - 1)
        part = model.logits(table.crop(read)).reshape(*read.shape, -1)
        wrong += (part[write.relative_to(read).slices] != whole[write.slices]).any()
    assert wrong > 0


def test_groups_of_the_largest_run_by_windows(make_model, make_table):
    """Each group on windows of its level with its halo, states in between kept whole."""
    model = make_model("large", **SMALL["large"])
    table = make_table(4, 33, 38)
    network = model.network.eval()
    tables = [table]
    for _ in range(network.num_levels - 1):
        tables.append(tables[-1].coarsen())
    states, all_levels = inputs(model, table)
    whole, streamed, levels = dict(states), dict(states), dict(enumerate(all_levels))
    with torch.inference_mode():
        for group in network.groups:
            whole[group.output] = network.run_group(group, whole, levels)
            streamed[group.output] = stream_group(network, group, streamed, tables)
            np.testing.assert_array_equal(
                streamed[group.output].numpy(), whole[group.output].numpy(), err_msg=group.name
            )


def stream_group(network, group, states, tables):
    bounds = tables[group.level].window
    out = torch.full((*bounds.shape, group.channels), torch.nan)
    for write in bounds.split(5):
        read = write.grow(group.halo).clip(bounds)
        windows = {group.level: read}
        for _, level in group.inputs:
            if level < group.level:
                windows[level] = read.scale(2).clip(tables[level].window)
            elif level > group.level:
                windows[level] = read.coarsen(2)
        levels = {
            level: network.make_level(tables[level].crop(window), level)
            for level, window in windows.items()
        }
        part = {
            name: states[name]
            .reshape(*tables[level].window.shape, -1)[
                windows[level].relative_to(tables[level].window).slices
            ]
            .flatten(0, 1)
            for name, level in group.inputs
        }
        result = network.run_group(group, part, levels).reshape(*read.shape, -1)
        out[write.slices] = result[write.relative_to(read).slices]
    return out.flatten(0, 1)

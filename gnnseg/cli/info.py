"""`gnnseg info`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gnnseg.cli.options import AsJson
from gnnseg.cli.output import emit, percent
from gnnseg.errors import InputError, MissingInputError
from gnnseg.memory import format_size


def info(
    path: Annotated[Path, typer.Argument(show_default=False, help="What gnnseg reads or wrote.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell what a file or folder is: model, image, labels, slot map, graph, run or dataset."""
    if not path.exists():
        raise MissingInputError(f"{path}: no such file or folder")
    result = {"path": str(path), **_kind(path)(path)}
    rows = [(key.replace("_", " "), _words(key, value)) for key, value in result.items()]
    emit(result, rows, as_json=as_json)


def _kind(path: Path) -> Callable[[Path], dict[str, Any]]:
    from gnnseg.io.attributes import gnnseg_attributes

    if path.suffix == ".safetensors":
        return describe_model
    if path.is_dir():
        if gnnseg_attributes(path) is not None:
            return describe_output
        if (path / "manifest.json").is_file():
            return describe_run
        if (path / "images").is_dir():
            return describe_dataset
    return describe_image


def describe_model(path: Path) -> dict[str, Any]:
    """What a model's header tells."""
    from gnnseg.io.guard import reading
    from gnnseg.models import read_header

    with reading(str(path)):
        return _describe_header(read_header(path), path)


def _describe_header(header: dict[str, Any], path: Path) -> dict[str, Any]:
    training = header.get("training", {})
    return {
        "kind": "model",
        "of": header.get("kind", "regions"),
        "format_version": header.get("format_version"),
        "preset": header.get("preset"),
        "network": header.get("model"),
        "classes": _class_names(header.get("classes"), path),
        "settings": header.get("settings"),
        "features": len(header.get("features", ())),
        "pixel_size": header.get("pixel_size"),
        "trained_on": training.get("dataset"),
        "epochs": training.get("epochs"),
        "val_miou": training.get("val_miou"),
        "temperature": header.get("temperature", 1.0),
        "borders": "learnt" if training.get("borders", {}).get("kept") else None,
        "bytes": path.stat().st_size,
    }


def describe_output(path: Path) -> dict[str, Any]:
    """What a Zarr output of gnnseg tells about itself, finished or not."""
    from gnnseg.io.attributes import gnnseg_attributes
    from gnnseg.io.guard import reading
    from gnnseg.io.zarr_source import open_node

    about = dict(gnnseg_attributes(path) or {})
    with reading(str(path)):
        arrays = _arrays(open_node(path))
    table = about.pop("class_table", None)
    result = {"kind": about.pop("kind", None), "complete": about.pop("complete", None)}
    if table is not None:
        result["classes"] = _class_names(table, path)
    if table is not None and result["complete"]:
        image = describe_image(path)
        result |= {key: image[key] for key in ("pixel_size", "unit")}
    return {**result, "arrays": arrays, **about}


def describe_run(path: Path) -> dict[str, Any]:
    """The folder beside an output: settings, and how many blocks are done."""
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: its manifest.json is not readable: {error}") from error
    if not isinstance(manifest, dict) or "settings" not in manifest:
        raise InputError(f"{path}: its manifest.json is no manifest of gnnseg")
    done = {marks.stem: _count_blocks(marks) for marks in sorted((path / "done").glob("*.jsonl"))}
    result: dict[str, Any] = {"kind": "run", "complete": manifest.get("complete", False)}
    if result["complete"]:
        result["blocks"] = _count_blocks(path / "blocks.jsonl")
    else:
        result["blocks_done"] = done
    return {**result, "settings": manifest["settings"]}


def _count_blocks(marks: Path) -> int:
    """Lines after the first, each of them a block."""
    if not marks.is_file():
        return 0
    with marks.open("rb") as file:
        return max(0, sum(line.endswith(b"\n") for line in file) - 1)


def describe_dataset(path: Path) -> dict[str, Any]:
    """Classes and splits of a folder of labelled images."""
    from gnnseg.datasets import open_dataset

    dataset = open_dataset(path)
    items = {split: dataset.split(split) for split in ("train", "val", "test")}
    return {
        "kind": "dataset",
        "classes": list(dataset.classes.names),
        "images": {split: len(those) for split, those in items.items()},
        "clicks": sum(len(item.clicks) for those in items.values() for item in those),
        "pixel_size": dataset.pixel_size,
    }


def describe_image(path: Path) -> dict[str, Any]:
    """Size, type and calibration of an image."""
    from gnnseg.io import open_image

    image = open_image(path)
    return {
        "kind": "image",
        "height": image.height,
        "width": image.width,
        "planes": image.num_planes,
        "channels": image.num_channels,
        "dtype": str(image.dtype),
        "rgb": image.is_rgb,
        "axes": image.axes,
        "chunk": list(image.chunk),
        "pixel_size": image.pixel_size,
        "plane_spacing": image.plane_spacing,
        "unit": image.unit,
    }


def _class_names(table: Any, path: Path) -> list[str]:
    from gnnseg.io import ClassInfo

    return list(ClassInfo.from_dict(table, name=str(path)).names)


def _arrays(node: Any) -> dict[str, Any]:
    """Shape and type of an array, or of the arrays of a group, two levels deep."""
    if hasattr(node, "dtype"):
        return {"": {"shape": list(node.shape), "dtype": str(node.dtype)}}
    members = sorted(node.members(max_depth=1))
    return {
        name: {"shape": list(member.shape), "dtype": str(member.dtype)}
        for name, member in members
        if hasattr(member, "dtype")
    }


def _words(key: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _WORDS.get(key, _other_words)(value)


def _other_words(value: Any) -> str:
    if isinstance(value, dict):
        lines = (f"{name}: {_words(name, item) or '-'}" for name, item in value.items())
        return "\n".join(line.replace("\n", ", ") for line in lines)
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _array_words(arrays: dict[str, Any]) -> str:
    return "\n".join(
        f"{name or 'array'}  {' x '.join(map(str, about['shape']))} {about['dtype']}"
        for name, about in arrays.items()
    )


_WORDS: dict[str, Callable[[Any], str]] = {
    "arrays": _array_words,
    "bytes": format_size,
    "val_miou": percent,
}

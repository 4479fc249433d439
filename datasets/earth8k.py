"""The Earth from space in one image of 8192 x 4096 pixels.

Easy in colour, meant for scale and seams.
"""

from __future__ import annotations

from gnnseg.datasets.public import PublicDataset, class_table

DATASET = PublicDataset(
    name="earth8k",
    title="Earth composite (8192 x 4096, water and land)",
    source=(
        "https://www.solarsystemscope.com/textures (8k_earth_daymap.jpg) and, for the labels, "
        "https://github.com/cogeotiff/rio-tiler (tests/fixtures/cog_world.tif)"
    ),
    licence="CC BY 4.0 (image: Solar System Scope / INOVE; NASA), BSD-3-Clause (labels)",
    citation="Solar System Scope / INOVE, from NASA data",
    sizes=(0, 0, 1),
    classes=class_table(
        {
            "water": (0, 60, 200),
            "land": (160, 140, 60),
        }
    ),
    conversion=(
        "the land mask of 0.01 degree, nearest sample; rows north of 72 N and south of 60 S become"
        " 255"
    ),
)

"""Serial-section electron microscopy of the Drosophila larva ventral nerve cord.

A stack of 1024 x 1024 pixels.
"""

from __future__ import annotations

from gnnseg.datasets.public import PublicDataset, class_table

DATASET = PublicDataset(
    name="sstem_vnc",
    title="ssTEM Drosophila VNC (5 classes)",
    source="https://github.com/unidesigner/groundtruth-drosophila-vnc, folder stack1",
    licence="CC BY-NC-SA 3.0; not for commercial use",
    citation=(
        "Gerhard, Funke, Martel, Cardona, Fetter, Segmented anisotropic ssTEM dataset of neural "
        "tissue, figshare 856713, 2013"
    ),
    sizes=(12, 3, 3),
    classes=class_table(
        {
            "intracellular": (220, 220, 220),
            "membrane": (0, 0, 0),
            "glia_extracellular": (90, 140, 255),
            "mitochondrion": (0, 180, 0),
            "synapse": (255, 0, 0),
        }
    ),
    conversion=(
        "labels 0, 32, 64, 96 and 128 become 1 membrane, 159 becomes 2, 191 becomes 3, 223 becomes"
        " 4, 255 becomes 0; sections 0-11 train, 12-14 validate, 15-17 test, since neighbours are "
        "alike"
    ),
    pixel_size=(0.0046, 0.0046),
)

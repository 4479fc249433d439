"""NASA environmental barrier coatings.

Oxide layers and cracks in electron microscopy, 1024 x 1024 pixels.
"""

from __future__ import annotations

from gnnseg.datasets.public import PublicDataset, class_table

DATASET = PublicDataset(
    name="nasa_ebc",
    title="NASA EBC oxide and cracks (3 classes)",
    source=(
        "https://github.com/nasa/pretrained-microscopy-models, folder benchmark_segmentation_data"
    ),
    licence="MIT",
    citation=(
        "Stuckner, Harder, Smith, Microstructure segmentation with deep learning encoders pre-"
        "trained on a large microscopy dataset, npj Computational Materials 2022"
    ),
    sizes=(16, 3, 2),
    classes=class_table(
        {
            "background": (90, 90, 90),
            "oxide": (0, 160, 255),
            "crack": (255, 60, 0),
        }
    ),
    conversion=(
        "label values stay; the split is that of EBC1, images that are only in EBC2 or EBC3 keep "
        "their role there"
    ),
)

"""CrackForest: pavement with thin cracks (1.6 % of the pixels), 480 x 320 pixels."""

from __future__ import annotations

from gnnseg.datasets.public import PublicDataset, class_table

DATASET = PublicDataset(
    name="cfd_cracks",
    title="CrackForest pavement cracks (2 classes)",
    source="https://github.com/cuilimeng/CrackForest-dataset, folders image and groundTruth",
    licence="for non-commercial research only",
    citation=(
        "Shi, Cui, Qi, Meng, Chen, Automatic road crack detection using random structured forests,"
        " IEEE Transactions on Intelligent Transportation Systems 2016"
    ),
    sizes=(70, 18, 15),
    classes=class_table(
        {
            "pavement": (120, 120, 120),
            "crack": (255, 0, 0),
        }
    ),
    conversion=(
        "segmentation 1 becomes 0 pavement, 2 and 4 become 1 crack, 3 (pieces enclosed by cracks) "
        "becomes 255; image 042 is left out, its annotation belongs to another; by number modulo "
        "20: below 12 train, below 15 validate, the rest test"
    ),
)

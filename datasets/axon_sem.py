"""AxonDeepSeg.

Scanning electron microscopy of rat spinal cord, 737 x 758 to 1901 x 1801 pixels.
"""

from __future__ import annotations

from gnnseg.datasets.public import PublicDataset, class_table

DATASET = PublicDataset(
    name="axon_sem",
    title="AxonDeepSeg SEM (3 classes)",
    source="https://github.com/axondeepseg/data_axondeepseg_sem, folder derivatives/labels",
    licence="MIT",
    citation=(
        "Zaimi et al., AxonDeepSeg: automatic axon and myelin segmentation from microscopy data "
        "using convolutional neural networks, Scientific Reports 2018"
    ),
    sizes=(6, 1, 2),
    classes=class_table(
        {
            "background": (0, 0, 0),
            "myelin": (0, 0, 255),
            "axon": (255, 255, 0),
        }
    ),
    conversion=(
        "mask values below 64 become 0 background, below 192 become 1 myelin, the rest 2 axon; "
        "split by animal: rat2 validates, rat5 and rat8 test. The pixel size differs per animal"
    ),
)

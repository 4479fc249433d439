"""Region features: which planes are summed, and the numbers derived from the sums."""

from gnnseg.features.derive import Depth, derive, feature_names
from gnnseg.features.planes import NUM_BINS, RINGS, Plane, plane_table, planes

__all__ = [
    "NUM_BINS",
    "RINGS",
    "Depth",
    "Plane",
    "derive",
    "feature_names",
    "plane_table",
    "planes",
]

"""Slots: which way the home of a pixel lies from its own cell, in one byte."""

from __future__ import annotations

OWN = 12
"""Slot of a pixel whose superpixel is its own cell's; slot = 5 * (dy + 2) + dx + 2."""
MASKED = 254
"""Slot of a pixel that belongs to no superpixel."""
REACH = 2
"""Cells between a pixel's own cell and the home that it may join, along each axis."""
FIRST = 6
"""Slot of the first of the nine homes that a pixel may join before orphans do."""
SLOTS = 25
"""Slots of a plane; those from here on are marks, or none."""
LAYER = SLOTS
"""Slots from a home to that one layer of cells further along z."""
VOLUME_SLOTS = 5 * LAYER
"""Slots of a volume."""

"""Reading images of any format window by window, and writing labels that are whole or absent."""

from __future__ import annotations

from gnnseg.io.classes import ClassInfo, default_colors
from gnnseg.io.open import open_image
from gnnseg.io.source import ImageSource

__all__ = ["ClassInfo", "ImageSource", "default_colors", "open_image"]

"""Windows, the global lattice, and the blocks that every stage works in.

A *window* is a half-open rectangle. A *lattice* divides an image into home cells of `step`
pixels. A *block* is the one unit of work: the window it writes, the wider one it reads, and the
crop between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from gnnseg.errors import UsageError

CHUNK_PIXELS = 1024
MIN_CHUNK_CELLS = 16


@dataclass(frozen=True)
class Window:
    """A half-open rectangle `[y0, y1) x [x0, x1)`, in pixels or in cells."""

    y0: int
    y1: int
    x0: int
    x1: int

    def __post_init__(self) -> None:
        if self.y0 > self.y1 or self.x0 > self.x1:
            raise UsageError(f"a window needs y0 <= y1 and x0 <= x1, got {self}")

    @property
    def shape(self) -> tuple[int, int]:
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def key(self) -> str:
        """A name usable in a file name, unique among the windows of one array."""
        return f"{self.y0}_{self.y1}_{self.x0}_{self.x1}"

    def grow(self, margin: int) -> Window:
        return Window(self.y0 - margin, self.y1 + margin, self.x0 - margin, self.x1 + margin)

    def clip(self, bounds: Window) -> Window:
        """The part of this window that lies inside `bounds`."""
        y0, x0 = max(self.y0, bounds.y0), max(self.x0, bounds.x0)
        y1, x1 = min(self.y1, bounds.y1), min(self.x1, bounds.x1)
        return Window(y0, max(y0, y1), x0, max(x0, x1))

    def scale(self, factor: int) -> Window:
        """The same window in units `factor` times finer."""
        return Window(self.y0 * factor, self.y1 * factor, self.x0 * factor, self.x1 * factor)

    def coarsen(self, factor: int) -> Window:
        """The smallest window, in units `factor` times coarser, that covers this one."""
        return Window(
            self.y0 // factor, -(-self.y1 // factor), self.x0 // factor, -(-self.x1 // factor)
        )

    def align(self, multiple: int) -> Window:
        """The smallest window with every bound a multiple of `multiple` that covers this one."""
        return self.coarsen(multiple).scale(multiple)

    def relative_to(self, outer: Window) -> Window:
        """The same window in the coordinates of `outer`'s first corner."""
        return Window(
            self.y0 - outer.y0, self.y1 - outer.y0, self.x0 - outer.x0, self.x1 - outer.x0
        )

    def split(self, size: int | tuple[int, int]) -> Iterator[Window]:
        """Tiles of at most `size` (y, x), aligned to multiples of it, in raster order."""
        if self.size == 0:
            return
        rows, columns = (size, size) if isinstance(size, int) else size
        for y in range(self.y0 // rows * rows, self.y1, rows):
            for x in range(self.x0 // columns * columns, self.x1, columns):
                yield Window(y, y + rows, x, x + columns).clip(self)


@dataclass(frozen=True)
class Block:
    """One unit of work: write `write`, from what lies in `read`; `crop` leads from one to other."""

    write: Window
    read: Window

    @property
    def crop(self) -> tuple[slice, slice]:
        return self.write.relative_to(self.read).slices


def blocks(
    bounds: Window, size: int | tuple[int, int], halo: int, limits: Window | None = None
) -> Iterator[Block]:
    """Blocks that tile `bounds`, each reading `halo` more on every side, within `limits`."""
    for write in bounds.split(size):
        yield Block(write, write.grow(halo).clip(limits or bounds))


@dataclass(frozen=True)
class Lattice:
    """Home cells of `step` pixels over an image; cell `c` is the home of superpixel `c`.

    >>> lattice = Lattice(height=100, width=70, step=16)
    >>> lattice.shape, lattice.num_cells
    ((7, 5), 35)
    >>> lattice.pixels(Window(6, 7, 0, 5))
    Window(y0=96, y1=100, x0=0, x1=70)
    """

    height: int
    width: int
    step: int

    def __post_init__(self) -> None:
        if self.step < 2:
            raise UsageError(f"step must be at least 2 pixels, got {self.step}")
        if self.height < 1 or self.width < 1:
            raise UsageError(f"an image needs at least one pixel, got {self.height} x {self.width}")

    @property
    def shape(self) -> tuple[int, int]:
        return -(-self.height // self.step), -(-self.width // self.step)

    @property
    def num_cells(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def cells(self) -> Window:
        """All cells, in cells."""
        return Window(0, self.shape[0], 0, self.shape[1])

    @property
    def bounds(self) -> Window:
        """The image, in pixels."""
        return Window(0, self.height, 0, self.width)

    def pixels(self, cells: Window) -> Window:
        """The pixels of a window of cells."""
        return cells.scale(self.step).clip(self.bounds)


def chunk_cells(step: int) -> int:
    """Cells on a side of a chunk: a power of two, about `CHUNK_PIXELS` pixels.

    >>> chunk_cells(16), chunk_cells(8), chunk_cells(24)
    (64, 128, 32)
    """
    cells = MIN_CHUNK_CELLS
    while 2 * cells * step <= CHUNK_PIXELS:
        cells *= 2
    return cells


def step_for(n_segments: int, height: int, width: int) -> int:
    """The step whose lattice comes nearest to `n_segments` superpixels.

    >>> step_for(100, 1000, 1000)
    100
    """
    if n_segments < 1:
        raise UsageError(f"n_segments must be at least 1, got {n_segments}")
    guess = max(2, round((height * width / n_segments) ** 0.5))
    steps = range(2, max(height, width, 2) + 1)
    first = 2 + bisect_left(
        steps, -n_segments, key=lambda step: -Lattice(height, width, step).num_cells
    )
    return min(
        {guess, first, max(2, first - 1)},
        key=lambda step: (
            abs(Lattice(height, width, step).num_cells - n_segments),
            abs(step - guess),
            step,
        ),
    )

"""The map drawn with the images themselves: which of them fit on a grid, and the picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dinoscope.errors import InputError
from dinoscope.plots.canvas import Picture, encode
from dinoscope.plots.map import check_map

__all__ = ["Tiles", "image_map_figure", "pick_tiles"]

_MAX_SIDE = 50  # cells of an image map, so that one still sees what is in them


@dataclass(frozen=True)
class Tiles:
    """Which images stand where on an image map.

    Attributes:
        positions: Positions of the images (M,).
        cells: Column and row, from the top left, of each (M, 2).
        columns: Width of the grid.
        rows: Height of the grid.
    """

    positions: NDArray[np.int64]
    cells: NDArray[np.int64]
    columns: int
    rows: int


def pick_tiles(coordinates: ArrayLike, count: int = 600) -> Tiles:
    """Lay a grid over the map and pick for each cell the image nearest to its middle, so that none overlap.

    Args:
        coordinates: The map (N, 2).
        count: About how many images to pick; fewer where they would become too small, or be alone.

    Raises:
        InputError: If the coordinates are not finite numbers (N, 2), or ``count`` is not positive.
    """
    if count < 1:
        raise InputError(f"count must be at least 1, got {count}")
    points, _ = check_map(coordinates, np.zeros(len(np.asarray(coordinates))), 1)
    place = (points - points.min(axis=0)) / max(float(np.ptp(points, axis=0).max()), 1e-9)  # 0 to 1 on the longer side
    wanted = min(count, len(points) // 4)
    for side in range(6, _MAX_SIDE + 1, 2):
        cells = np.minimum(place * side, side - 1).astype(np.int64)
        codes = cells @ [side, 1]  # one number for each cell: of pairs, unique() takes twenty times as long
        if len(np.unique(codes)) >= wanted:
            break
    off = np.abs(place * side - cells - 0.5).max(axis=1)
    nearest = np.lexsort((off, cells[:, 0], cells[:, 1]))
    _, first = np.unique(codes[nearest], return_index=True)
    positions = np.sort(nearest[first])
    columns, rows = (cells.max(axis=0) + 1).tolist()
    column, row = cells[positions].T
    return Tiles(positions, np.column_stack([column, rows - 1 - row]), columns, rows)  # pictures count from the top


def image_map_figure(
    tiles: Tiles,
    pictures: Sequence[bytes | NDArray[np.uint8]],
    *,
    tile: int = 32,
    colors: Sequence[str] | None = None,
    background: str | None = None,
    format: str = "png",
) -> Picture:
    """Draw the map with the images themselves.

    Args:
        tiles: What ``pick_tiles`` chose.
        pictures: The images at ``tiles.positions``, encoded or uint8 (H, W) or (H, W, 3).
        tile: Side of a cell in pixels; images are fitted into it whole.
        colors: A colour for each image (M,), drawn as a line below it.
        background: A colour, by default none (transparent).
        format: "png" or "webp" (a fifth of the size).

    Raises:
        InputError: If there are more or fewer pictures than tiles.
    """
    if len(pictures) != len(tiles.positions):
        raise InputError(f"pictures must be one for each of {len(tiles.positions)} tiles, got {len(pictures)}")
    canvas = Image.new("RGBA", (tiles.columns * tile, tiles.rows * tile), background or (0, 0, 0, 0))
    gap = max(1, tile // 16)
    bar = min(max(2, tile // 14), 4) if colors is not None else 0
    for index, ((column, row), picture) in enumerate(zip(tiles.cells.tolist(), pictures, strict=True)):
        left, top = column * tile, row * tile
        _paste(canvas, picture, (left, top), (tile - gap, tile - gap - bar))
        if colors is not None:
            canvas.paste(colors[index], (left, top + tile - gap - bar, left + tile - gap, top + tile - gap))
    return encode(canvas, format)


def _paste(canvas: Image.Image, picture: bytes | NDArray[np.uint8], at: tuple[int, int], box: tuple[int, int]) -> None:
    """Fit a picture whole into a box and paste it in its middle."""
    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else Image.fromarray(picture)
    image = image.convert("RGBA")
    scale = min(box[0] / image.width, box[1] / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    canvas.paste(image, (at[0] + (box[0] - size[0]) // 2, at[1] + (box[1] - size[1]) // 2), image)

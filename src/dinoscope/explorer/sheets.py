"""Pictures for the explorer: thumbnails drawn together on sheets, and larger pictures where there are any."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from dinoscope.base.digests import digest_json
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.errors import CollectionError, ImageError, InputError
from dinoscope.stages import originals as stages_originals
from dinoscope.stages.queries.colour_grids import colour_grids
from dinoscope.storage.checksums import seal_bytes, unseal_bytes
from dinoscope.storage.files import write_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dinoscope.models.encoder import Encoder
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "COLUMNS",
    "Originals",
    "all_sheets",
    "colour_sheet",
    "draw_sheet",
    "large_picture",
    "media_type",
    "part_of_tile",
    "sheet",
    "tile_side",
]

COLUMNS = 16  # tiles across and down a sheet: few look-alikes should not need many others decoded
_TILE = 64  # largest side of a tile, in pixels
_EXACT = 32  # up to this side tiles are stored without loss, because single pixels are visible
_QUALITY = 80
_SMALL = 256  # a picture up to this side is sent without loss; no thumbnail is larger
_PICTURE = 1600  # longest side of a large picture
_MOST_BYTES = 8  # of a sheet's file for each pixel: twice as many as there are without any packing
_READ_SHEETS = 32  # whose thumbnails are in memory at once
_VERSION = 1  # raise it when the same thumbnails would give another sheet


def tile_side(collection: OpenedCollection) -> int:
    """Return the side of a tile in pixels: that of the largest thumbnail, in steps of 8, at most 64."""
    largest = int(collection.sizes.max(initial=1))
    return min(_TILE, -(-max(largest, 8) // 8) * 8)


def sheet(collection: OpenedCollection, index: int, tile: int) -> tuple[bytes, bool]:
    """Return a sheet as WebP, and whether it is complete: drawn when first asked for, then kept in the collection.

    Its key stays the same while its images do: one more image changes the last sheet alone, and models share them. A
    sheet that lacks thumbnails is not kept: they may come back under the same key. A kept file that is no such sheet is
    drawn again.
    """
    return _sheet(collection, index, tile, lambda at: _thumbnails(collection, at))


def all_sheets(collection: OpenedCollection, tile: int) -> list[bytes]:
    """Return every sheet as ``sheet`` does, several at a time; the thumbnails of many sheets are read at once.

    A sheet's images may lie in every part of the collection, so reading for one costs as much as for dozens.
    """
    found: list[bytes] = []
    for block in row_blocks(-(-len(collection) // COLUMNS**2), _READ_SHEETS):
        first = block.start * COLUMNS**2
        everything = range(first, min(block.stop * COLUMNS**2, len(collection)))
        read = cache(partial(_thumbnails, collection, everything))

        def draw(index: int, first: int = first, read: Callable[[], list[bytes | None]] = read) -> bytes:
            return _sheet(collection, index, tile, lambda at: read()[at.start - first : at.stop - first])[0]

        found.append(draw(block.start))  # it reads for all that are drawn beside each other
        found += in_threads(draw, range(block.start + 1, block.stop))
    return found


def _sheet(
    collection: OpenedCollection, index: int, tile: int, read: Callable[[range], list[bytes | None]]
) -> tuple[bytes, bool]:
    at = range(index * COLUMNS**2, min((index + 1) * COLUMNS**2, len(collection)))
    key = digest_json("sheet", _VERSION, tile, [collection.content_keys[position] for position in at])
    path = collection.path / "results" / "sheets" / f"{key}.webp"
    side = COLUMNS * tile, max(1, -(-len(at) // COLUMNS)) * tile
    stored = _stored_sheet(path, side)
    if stored is not None:
        return stored, True
    pictures = read(at)
    drawn = draw_sheet(pictures, tile)
    is_complete = None not in pictures
    if is_complete and not collection.results.read_only:
        with suppress(OSError):  # the disk is full, or the collection is somebody else's: it is drawn again next time
            write_bytes(path, seal_bytes(drawn), durable=False, within=collection.path)
    return drawn, is_complete


def _stored_sheet(path: Path, size: tuple[int, int]) -> bytes | None:
    """Return a kept sheet; None if the file is not one still WebP picture of this width and height.

    A collection may come from a stranger, whose file has the right checksum, too.
    """
    with suppress(Exception):  # decoders raise nearly anything
        if path.is_file() and path.stat().st_size <= _MOST_BYTES * size[0] * size[1]:
            stored = unseal_bytes(path.read_bytes())
            if stored is not None:
                with Image.open(io.BytesIO(stored), formats=("WEBP",)) as image:
                    if image.size == size and not getattr(image, "is_animated", False):
                        return stored
    return None


def colour_sheet(collection: OpenedCollection, index: int, tile: int, encoder: Callable[[], Encoder]) -> bytes:
    """Return a sheet whose thumbnails are the patch colours of their images, as WebP.

    It is drawn from the colours that are kept, which one or two files hold, so it is not kept itself.

    Raises:
        InputError: If the colours are not kept.
    """
    at = range(index * COLUMNS**2, min((index + 1) * COLUMNS**2, len(collection)))
    grids = colour_grids(collection, at, encoder)
    if grids is None:
        raise InputError(
            "the patch colours of these images are not kept yet: load the page again, press the button for patch "
            "colours at the map, and let it look at the images"
        )
    sizes = collection.sizes[at.start : at.stop].tolist()
    return _page([_in_colours(grid, size, tile) for grid, size in zip(grids, sizes, strict=True)], tile, COLUMNS)


def _in_colours(grid: NDArray[np.uint8], size: Sequence[int], tile: int) -> Image.Image:
    """Return patch colours (H, W, 3), as large as the thumbnail of their image on its tile."""
    shown = min(tile, max(size)) / max(size)
    width, height = (max(1, round(shown * side)) for side in size)
    return Image.fromarray(grid).resize((width, height), Image.Resampling.BILINEAR)


def draw_sheet(
    pictures: Sequence[bytes | None], tile: int, columns: int = COLUMNS, *, lossless: bool | None = None
) -> bytes:
    """Draw pictures line by line, each in the middle of its tile, on transparent ground; as WebP.

    A picture that is missing, damaged or no thumbnail leaves its tile empty. By default small tiles are without loss.
    """
    opened = [None if picture is None else _open_small(picture, tile) for picture in pictures]
    return _page(opened, tile, columns, lossless)


def _page(pictures: Sequence[Image.Image | None], tile: int, columns: int, lossless: bool | None = None) -> bytes:
    lines = max(1, -(-len(pictures) // columns))
    page = Image.new("RGBA", (columns * tile, lines * tile))
    for number, small in enumerate(pictures):
        if small is not None:
            left, top = number % columns * tile, number // columns * tile
            page.paste(small, (left + (tile - small.width) // 2, top + (tile - small.height) // 2))
    out = io.BytesIO()
    if tile <= _EXACT if lossless is None else lossless:
        page.save(out, "WEBP", lossless=True, quality=0, method=0)
    else:
        page.save(out, "WEBP", quality=_QUALITY, method=0)
    return out.getvalue()


def part_of_tile(box: Sequence[int], size: Sequence[int], tile: int) -> tuple[float, float, float, float]:
    """Return where on its tile a part of an image is: left, top, width and height as shares of the tile's side.

    Args:
        box: Left, top, width and height in pixels of the image.
        size: Width and height of the image.
        tile: Side of the tile in pixels.
    """
    shown = min(tile, max(size)) / max(size)  # pixels of the tile for one of the image; small ones are not enlarged
    left, top = ((tile - shown * side) / 2 for side in size)
    x, y, across, down = box
    return (left + shown * x) / tile, (top + shown * y) / tile, shown * across / tile, shown * down / tile


class Originals(stages_originals.Originals):
    """The images of a source, found for those of a collection by what they hold, and drawn for the page."""

    def read(self, collection: OpenedCollection, position: int) -> bytes | None:
        """Return a picture with nothing but its pixels; None if the source does not hold the image that was embedded.

        Raises:
            ImageError: If it cannot be read any more.
        """
        index = self.index_of(collection, position)
        if index is None:
            return None
        self.source.decoding = collection.decoding
        picture = Image.fromarray(self.source.load_reduced(index, (1, _PICTURE)).pixels)
        picture.thumbnail((_PICTURE, _PICTURE), Image.Resampling.LANCZOS, reducing_gap=2.0)
        out = io.BytesIO()
        if max(picture.size) <= _SMALL:
            picture.save(out, "PNG")
        else:
            picture.save(out, "JPEG", quality=90)
        return out.getvalue()


def large_picture(collection: OpenedCollection, position: int, originals: Originals | None) -> bytes:
    """Return the largest available picture of an image, PNG or JPEG: its original, or its thumbnail.

    Raises:
        CollectionError: If not even the thumbnail is there.
    """
    if originals is not None:
        with suppress(ImageError):  # it was there when it was embedded; the thumbnail still is
            found = originals.read(collection, position)
            if found is not None:
                return found
    return collection.thumbnails([position])[0]


def media_type(picture: bytes) -> str:
    """Return the media type of a PNG or JPEG; nothing else is ever sent as a picture."""
    return "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"


def _thumbnails(collection: OpenedCollection, positions: Sequence[int]) -> list[bytes | None]:
    """Return the thumbnails, None for those that are lost."""
    try:
        return list(collection.thumbnails(positions))
    except CollectionError:
        if len(positions) == 1:
            return [None]
        middle = len(positions) // 2
        return _thumbnails(collection, positions[:middle]) + _thumbnails(collection, positions[middle:])


def _open_small(picture: bytes, tile: int) -> Image.Image | None:
    try:
        image = Image.open(io.BytesIO(picture), formats=("PNG", "JPEG"))
        if max(image.size) > _SMALL:  # none of ours
            return None
        image.draft("RGB", (tile, tile))
        small = image.convert("RGB")
    except Exception:  # decoders raise nearly anything on a damaged file
        return None
    if max(small.size) > tile:
        small.thumbnail((tile, tile), Image.Resampling.LANCZOS)
    return small

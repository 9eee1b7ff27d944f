"""Write tests/data/preprocess.npz: what the image processors of transformers make of some pictures.

Needs transformers, torch and torchvision: ``python -m tests.reference.preprocess``. The tests need none of them. It
also prints how far the processors' own two backends (Pillow, torchvision) are apart.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests import ROOT

DATA = ROOT / "tests" / "data" / "preprocess.npz"
RESOLUTION = 224
STEP = 9  # every ninth pixel each way is stored
SIZES = (
    *((640, 480), (480, 640), (500, 333), (333, 500), (1000, 1000), (1600, 1200), (2047, 1365), (301, 299), (255, 257)),
    *((224, 224), (256, 256), (225, 224), (28, 28), (32, 32), (1, 1), (2, 1), (97, 61), (5, 40), (1999, 257)),
)
PANORAMAS = ((3, 200), (200, 3), (257, 3000), (3000, 257), (1, 40))  # beyond 1:8


@cache
def picture(width: int, height: int) -> NDArray[np.uint8]:
    """Return a picture (height, width, 3) of slopes, waves and fine noise that is the same everywhere."""
    y, x, channel = np.ogrid[:height, :width, :3]
    noise = ((x * 7919 + y * 104_729 + channel * 1_299_709) * 2_654_435_761 >> 13) % 97
    triangle = np.abs((x * 3 + y * 5 + channel * 40) % 160 - 80)
    levels: NDArray[np.int64] = (noise + triangle + 60 * ((x // 19 + y // 23) % 2)) % 256
    return levels.astype(np.uint8)


def sampled(square: NDArray[Any]) -> NDArray[Any]:
    """Return the pixels of a square that are stored."""
    return square[::STEP, ::STEP]


def main() -> None:
    """Run the processors."""
    from transformers.models.bit.image_processing_bit import BitImageProcessor
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
    from transformers.models.dinov3_vit.image_processing_dinov3_vit import DINOv3ViTImageProcessor
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
    from transformers.models.vit.image_processing_vit import ViTImageProcessor

    # preprocessor_config.json of facebook/dinov2-*, and of facebook/dino-*; DINOv3's are the defaults of its class
    dinov2 = {
        "size": {"shortest_edge": 256},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": RESOLUTION, "width": RESOLUTION},
    }
    dino = {"size": {"height": RESOLUTION, "width": RESOLUTION}, "resample": 2}
    followed = {"dino": ViTImageProcessorPil(**dino), "dinov2": BitImageProcessorPil(**dinov2)}
    others = {"dino": ViTImageProcessor(**dino), "dinov2": BitImageProcessor(**dinov2)}

    def run(processor: Any, image: NDArray[np.uint8], *, rescale: bool = False) -> NDArray[np.float32]:
        batch = processor(
            image, do_rescale=rescale, do_normalize=False, input_data_format="channels_last", return_tensors="np"
        )
        result: NDArray[np.float32] = np.asarray(batch["pixel_values"], np.float32)[0].transpose(1, 2, 0)
        return result * np.float32(255) if rescale else result

    stored: dict[str, list[NDArray[Any]]] = {"dino": [], "dinov2": [], "dinov3": []}
    for size in (*SIZES, *PANORAMAS):
        image = picture(*size)
        for family, processor in followed.items():
            square = run(processor, image)
            apart = np.abs(square - run(others[family], image))
            print(f"{size} {family}: the backends differ by {apart.max():.0f}, {apart.mean():.3f} on average")  # noqa: T201
            stored[family].append(sampled(square).astype(np.uint8))
        # in 256ths of a grey level
        levels = run(DINOv3ViTImageProcessor(), image, rescale=True)
        stored["dinov3"].append(np.rint(sampled(levels) * 256).astype(np.uint16))
    DATA.parent.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {family: np.stack(squares) for family, squares in stored.items()}
    np.savez_compressed(DATA, **arrays)


if __name__ == "__main__":
    main()

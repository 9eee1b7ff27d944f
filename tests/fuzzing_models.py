"""Damaged weights by the hundred, loaded in a process of its own: ``python -m tests.fuzzing_models COUNT SEED``.

It prints how many could be loaded and how many were refused, and the peak of its memory in MB. A crash, any other
error than a `DinoscopeError` of one line, or ten seconds for one file end it with another exit code than 0.
"""

from __future__ import annotations

import faulthandler
import json
import random
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from dinoscope.errors import DinoscopeError
from dinoscope.models.encoder import Encoder
from tests.checkpoints import DIM, save_vit
from tests.fuzzing import mutated, peak
from tests.models.graphs.test_onnx_import import export, looped

_SECONDS = 10


def weights(folder: Path) -> list[Path]:
    """Make whole weights of every kind that is read, each in a folder of its own; return the files to damage."""
    made = [save_vit(folder / family, family) / "model.safetensors" for family in ("dino", "dinov2", "dinov3")]
    ways: list[Callable[[Path], object]] = [
        export,
        lambda path: export(path, external=True),
        lambda path: export(path, registers=4, outputs=("pooler_output", "last_hidden_state")),
        lambda path: export(path, extra=looped(3)),
    ]
    for number, make in enumerate(ways):
        made.append(folder / f"export{number}" / "model.onnx")
        make(made[-1])
    beside: dict[str, object] = {
        "config.json": {"hidden_size": DIM, "num_attention_heads": 4, "layer_norm_eps": 1e-6},
        "preprocessor_config.json": {"image_mean": [0.4] * 3, "image_std": [0.2] * 3, "size": 32},
    }
    for name, content in beside.items():
        made.append(save_vit(folder / name) / name)
        made[-1].write_text(json.dumps(content))
    return made


def with_odd_graph(content: bytes, chance: random.Random) -> bytes:
    """Change what a graph says, so that it is still one: numbers, names, operators, sizes, where its data lies."""
    model = onnx.load_model_from_string(content)
    graph = model.graph
    for _ in range(chance.choice((1, 1, 2, 4))):
        node, tensor = chance.choice(graph.node), chance.choice(graph.initializer)
        odd = chance.choice((-1, 0, 1, 3, 2**31, 2**40, 2**62))
        kind = chance.randrange(9)
        if kind == 0 and node.attribute:
            attribute = chance.choice(node.attribute)
            attribute.i = odd
            attribute.ints[:] = [chance.choice((odd, each)) for each in attribute.ints]
        elif kind == 1 and node.input:
            node.input[chance.randrange(len(node.input))] = chance.choice((node.output[0], "nowhere", "", "pixels"))
        elif kind == 2:
            node.op_type = chance.choice(("Tile", "Expand", "Range", "MatMul", "ConstantOfShape", "NonZero", "X"))
        elif kind == 3 and tensor.dims:
            tensor.dims[chance.randrange(len(tensor.dims))] = odd
        elif kind == 4:
            tensor.data_type = chance.randrange(25)
        elif kind == 5 and tensor.external_data:
            chance.choice(tensor.external_data).value = chance.choice((str(odd), "../../../etc/passwd", "", "x"))
        elif kind == 6:
            tensor.raw_data = chance.randbytes(len(tensor.raw_data))  # also the shapes that operators are given
        elif kind == 7:
            dims = chance.choice((*graph.input, *graph.output)).type.tensor_type.shape.dim
            chance.choice(dims or [onnx.TensorShapeProto.Dimension()]).dim_value = odd
        else:
            del graph.node[chance.randrange(len(graph.node))]
            graph.node.append(node)
    changed: bytes = model.SerializeToString()
    return changed


def with_odd_header(content: bytes, chance: random.Random) -> bytes:
    """Change what a safetensors file says of its tensors."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for _ in range(chance.choice((1, 2, 4))):
        name = chance.choice(list(header))
        entry = header[name]
        odd: Any = chance.choice((-1, 0, 1, 2**40, 10**400, 1.5, None, "8", [], {}, True))
        kind = chance.randrange(5)
        if kind == 0 and isinstance(entry, dict):
            entry[chance.choice(list(entry) or ["shape"])] = odd
        elif kind == 1 and isinstance(entry, dict) and isinstance(entry.get("shape"), list):
            entry["shape"] = chance.choice(([*entry["shape"], odd], entry["shape"][1:], entry["shape"][::-1]))
        elif kind == 2 and isinstance(entry, dict):
            entry["dtype"] = chance.choice(("F64", "F16", "BF16", "I64", "BOOL", "F8", 7))
        elif kind == 3:
            header[chance.choice((name.replace("0", "7"), name.replace("1", "-1"), "blocks.99.x", ""))] = header.pop(
                name
            )
        else:
            header[name] = odd
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def main(count: int, seed: int) -> None:
    """Load so many damaged weights."""
    warnings.simplefilter("error")
    chance = random.Random(seed)
    outcome = {"loaded": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as place:
        files = weights(Path(place, "whole"))
        for number in range(count):
            whole = files[number % len(files)]
            folder = Path(place, str(number))
            shutil.copytree(whole.parent, folder)
            content = whole.read_bytes()
            if number % 2 and whole.suffix == ".onnx":
                content = with_odd_graph(content, chance)
            elif number % 2 and whole.suffix == ".safetensors":
                content = with_odd_header(content, chance)
            else:
                content = mutated(content, chance)
            (folder / whole.name).write_bytes(content)
            faulthandler.dump_traceback_later(_SECONDS, exit=True)
            try:
                Encoder(str(folder), resolution=32, device="cpu", threads=1)
                outcome["loaded"] += 1
            except DinoscopeError as error:
                told = str(error)
                outcome["refused"] += 1
                if "\n" in told:
                    raise
            faulthandler.cancel_dump_traceback_later()
            shutil.rmtree(folder)
    print(json.dumps({**outcome, "megabytes": peak()}))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

"""What runs a graph: ONNX Runtime on the processor or on a GPU, or OpenVINO; and which of them to take."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import check_choice
from dinoscope.base.machine import cores
from dinoscope.base.telemetry import import_onnxruntime, import_openvino
from dinoscope.errors import InputError, ModelError

__all__ = ["DEVICES", "Graph", "Runtime", "does_not_run", "exact_device", "open_runtime"]

DEVICES = ("auto", "cpu", "openvino", "openvino-fp32", "cuda")
_GPU = "CUDAExecutionProvider"
_CHUNK = 4  # images in one request of OpenVINO: more do not fit a core's cache, fewer leave it idle


@dataclass(frozen=True)
class Graph:
    """A graph to run.

    Attributes:
        name: Of the model, for messages.
        proto: Serialised ONNX model. Input ``pixels`` uint8 (B, R, R, 3), outputs ``cls`` and, mostly, ``patches``.
        weights: The file with its external data; None where everything is in ``proto``.
        small: Whether the model is so small that only plain ONNX Runtime on the processor makes sense by itself.
        single: Whether it takes one image at a time only.
        strange: Whether the graph itself is somebody's, and no row of the table of models names it.
        whole: Whether its layers compute in whole numbers of 8 bits, which the processor alone runs.
        remedy: What a person can do when it does not run.
    """

    name: str
    proto: bytes
    weights: Path | None = None
    small: bool = False
    single: bool = False
    strange: bool = False
    whole: bool = False
    remedy: str = "fetch them again, or try --device cpu"


class Runtime(Protocol):
    """A graph that is ready to run.

    Attributes:
        device: ``cpu``, ``openvino`` or ``cuda``.
        precision: What products are computed in: ``fp32``, ``tf32``, ``bf16`` or ``int8``.
        reason: Why this device, for people; with how to get a faster one where there is a way.
        batch_size: Images in one run that suit it.
        outputs: Names of what the graph gives: ``cls``; mostly ``patches``; of a ViT built here ``attention``, too.
    """

    device: str
    precision: str
    reason: str
    batch_size: int
    outputs: frozenset[str]

    def run(self, outputs: Sequence[str], pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the graph once: preprocessed uint8 (B, R, R, 3) to the outputs that are named."""
        ...


def exact_device() -> str:
    """Return which of ``DEVICES`` computes in float32 fastest on this machine's processor."""
    if find_spec("openvino") is None:
        return "cpu"
    try:
        _load_openvino()
    except InputError:
        return "cpu"
    return "openvino-fp32"


def open_runtime(graph: Graph, device: str = "auto", threads: int | None = None) -> Runtime:
    """Make a graph ready to run.

    ``auto`` takes a GPU where onnxruntime-gpu finds one, else OpenVINO where it is installed and runs the graph on
    one image (in bfloat16 where the processor computes in it), else ONNX Runtime on the processor. The bundled models
    always run on the latter, and so does a stranger's graph: there it was tried out.

    Args:
        graph: The graph.
        device: One of ``DEVICES``.
        threads: Threads on the processor, by default one for each core.

    Raises:
        InputError: If there is no such device, or it is not available on this machine.
        ModelError: If the graph does not load.
    """
    _check_device(graph, device)
    count = threads or cores()
    if device == "cuda":
        return _OnnxRuntime(graph, count, gpu=True, reason="asked for")
    if device.startswith("openvino"):
        return _OpenVino(graph, count, "fp32" if device.endswith("fp32") else None, "asked for")
    if device == "cpu":
        return _OnnxRuntime(graph, count, reason="asked for")
    if graph.small:
        return _OnnxRuntime(graph, count, reason="a bundled model is fastest there")
    if _has_gpu():
        try:
            return _OnnxRuntime(graph, count, gpu=True, reason="onnxruntime-gpu finds a GPU")
        except InputError as error:
            return _OnnxRuntime(graph, count, reason=f"onnxruntime-gpu is installed, but {error}")
    if graph.strange:
        return _OnnxRuntime(graph, count, reason="the graph was tried out there")
    if find_spec("openvino") is not None:
        try:
            opened = _OpenVino(graph, count, None, "the fastest on this processor")
            opened.try_out()
            return opened
        except (InputError, ModelError) as error:
            return _OnnxRuntime(graph, count, reason=f"without OpenVINO: {error}")
    faster = "pip install 'dinoscope[openvino]' runs it faster" + (" in bfloat16" if _has_bfloat16() else "")
    return _OnnxRuntime(graph, count, reason=f"neither a GPU nor OpenVINO is available; {faster}")


def _check_device(graph: Graph, device: str) -> None:
    check_choice(device, "device", DEVICES)
    if graph.whole and device not in ("auto", "cpu"):
        raise InputError(f"int8 runs on the processor alone, got --device {device}: leave it out, or say cpu")


class _OnnxRuntime:
    """ONNX Runtime."""

    def __init__(self, graph: Graph, threads: int, *, gpu: bool = False, reason: str) -> None:
        ort = import_onnxruntime()
        if gpu and not _has_gpu():
            raise InputError(
                "no CUDA device: expected onnxruntime-gpu to be installed (pip uninstall onnxruntime, then pip install "
                "'dinoscope[gpu]'); --device cpu works everywhere"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait would take the cores from those that decode, and from other programs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what is an error there is raised, too
        if graph.weights is not None:
            folder = str(graph.weights.parent)
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        providers = [_GPU, "CPUExecutionProvider"] if gpu else ["CPUExecutionProvider"]
        try:
            # its own second try would print to stdout
            self._session = ort.InferenceSession(graph.proto, options, providers=providers, enable_fallback=0)
        except Exception as error:  # onnxruntime raises types of its own that share no base but Exception
            raise _no_cuda() if gpu else _does_not_load(graph, error) from None
        if gpu and self._session.get_providers()[0] != _GPU:  # it goes on without, by itself
            raise _no_cuda()
        self.device, self.precision = ("cuda", "tf32") if gpu else ("cpu", "int8" if graph.whole else "fp32")
        self.reason = reason
        # of a ViT, 4 to 8 images are fastest on a processor: more no longer fit its caches
        self.batch_size = 1 if graph.single else 64 if gpu or graph.small else 8
        self.outputs = frozenset(output.name for output in self._session.get_outputs())

    def run(self, outputs: Sequence[str], pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """See ``Runtime.run``."""
        results: list[NDArray[np.float32]] = self._session.run(list(outputs), {"pixels": pixels})
        return results


class _OpenVino:
    """OpenVINO on the processor. A batch is cut into requests that run side by side, each on cores of its own."""

    def __init__(self, graph: Graph, threads: int, precision: str | None, reason: str) -> None:
        if find_spec("openvino") is None:
            raise InputError("OpenVINO is not installed: pip install 'dinoscope[openvino]', or use --device cpu")
        openvino, core, able = _load_openvino()
        bf16 = precision is None and "BF16" in able
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            with _on_disk(graph) as path:
                self._model = core.compile_model(core.read_model(path), "CPU", settings)
            requests = self._model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
            self._queue = openvino.AsyncInferQueue(self._model, requests)
        except (RuntimeError, OSError) as error:
            raise _does_not_load(graph, error) from None
        self.device, self.precision = "openvino", "bf16" if bf16 else "fp32"
        speed = ", which computes in bfloat16" if bf16 else ""
        self.reason = reason + speed
        self._name, self._remedy = graph.name, graph.remedy
        self._asking = threading.Lock()  # the queue has one callback: two threads would get each other's vectors
        names = [output.get_names() for output in self._model.outputs]
        self._ports = {name: port for port, each in enumerate(names) for name in each}
        self._chunk = 1 if graph.single else _CHUNK
        self.batch_size = 2 * requests * self._chunk
        self.outputs = frozenset(self._ports)

    def try_out(self) -> None:
        """Run the graph on one grey image.

        Raises:
            ModelError: It does not run, or gives NaN or infinity.
        """
        side = 0
        try:
            side = self._model.input("pixels").partial_shape[1].get_length()
            (vector,) = self.run(["cls"], np.full((1, side, side, 3), 128, np.uint8))
        except Exception as error:  # the callback's errors come out as they are
            raise ModelError(does_not_run(self._name, side, error, self._remedy)) from None
        if not np.isfinite(vector).all():
            raise ModelError(f"{self._name} gives NaN or infinity in {self.precision}")

    def run(self, outputs: Sequence[str], pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """See ``Runtime.run``."""
        ports = [self._ports[name] for name in outputs]
        starts = range(0, len(pixels), self._chunk)
        parts: list[list[NDArray[np.float32]]] = [[] for _ in starts]

        def keep(request: Any, number: int) -> None:
            parts[number] = [request.get_output_tensor(port).data.copy() for port in ports]

        with self._asking:
            self._queue.set_callback(keep)
            for number, start in enumerate(starts):
                self._queue.start_async({"pixels": pixels[start : start + self._chunk]}, number)
            self._queue.wait_all()
        return [np.concatenate([part[each] for part in parts]) for each in range(len(ports))]


def _load_openvino() -> tuple[Any, Any, list[str]]:
    """Return OpenVINO, its core, and what the processor can do.

    Raises:
        InputError: It is installed and does not load.
    """
    try:
        openvino = import_openvino()
        core = openvino.Core()
        return openvino, core, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (ImportError, OSError, RuntimeError) as error:  # a library or a plug-in is missing, or cannot be read
        raise InputError(
            f"OpenVINO does not load ({_first_line(error)}): install it again, or use --device cpu"
        ) from None


@contextmanager
def _on_disk(graph: Graph) -> Iterator[Path]:
    """Put the graph and its weights into one folder: OpenVINO reads external data from nowhere else."""
    # a mapped file cannot be deleted on Windows
    with tempfile.TemporaryDirectory(prefix="dinoscope-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(graph.proto)
        if graph.weights is not None:
            try:
                os.link(graph.weights, path.with_name(graph.weights.name))
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(graph.weights, path.with_name(graph.weights.name))
        yield path


def _has_gpu() -> bool:
    return _GPU in import_onnxruntime().get_available_providers()


def _has_bfloat16() -> bool:
    """Tell whether the processor computes in bfloat16, where the system says so."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


def _no_cuda() -> InputError:
    return InputError("the CUDA libraries do not load: see ONNX Runtime's notes on its versions of CUDA and cuDNN")


def does_not_run(name: str, side: int, error: Exception, remedy: str) -> str:
    """Return what is said about a model that loads, and does not run on images of this many pixels a side."""
    return f"{name} does not run at {side} pixels ({_first_line(error)}): {remedy}"


def _does_not_load(graph: Graph, error: Exception) -> ModelError:
    return ModelError(f"the weights of {graph.name!r} do not load ({_first_line(error)}): {graph.remedy}")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]

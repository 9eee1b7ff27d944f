"""Objects that somebody marked in pictures, by COCO, YOLO or Pascal VOC: each becomes an image of its own."""

from dinoscope.sources.boxes.annotations import read_yolo_names
from dinoscope.sources.boxes.opening import ANNOTATIONS, FOLDERS_OF_ANNOTATIONS, open_boxes
from dinoscope.sources.boxes.relabelling import relabel_coco, relabel_voc, relabel_yolo, write_yolo_names
from dinoscope.sources.boxes.source import BoxSource, read_file

__all__ = [
    "ANNOTATIONS",
    "FOLDERS_OF_ANNOTATIONS",
    "BoxSource",
    "open_boxes",
    "read_file",
    "read_yolo_names",
    "relabel_coco",
    "relabel_voc",
    "relabel_yolo",
    "write_yolo_names",
]

"""What labelled neighbours say about an image, and how often that is right."""

from dinoscope.analysis.labels.classifier import Classifier, Verdict
from dinoscope.analysis.labels.evaluation import Evaluation, evaluate
from dinoscope.analysis.labels.label_errors import LabelErrors, find_label_errors, self_test
from dinoscope.analysis.labels.voting import knn_accuracy

__all__ = [
    "Classifier",
    "Evaluation",
    "LabelErrors",
    "Verdict",
    "evaluate",
    "find_label_errors",
    "knn_accuracy",
    "self_test",
]

"""Libraries whose modules import each other load one thread at a time, and others without what they do not need."""

import ast
import subprocess
import sys

import pytest

from tests import ROOT

SOURCE = ROOT / "src" / "dinoscope"
CIRCULAR = {"scipy", "sklearn", "umap", "openTSNE", "fastumap"}  # their modules import each other, or SciPy's


def outside(tree: ast.AST) -> list[int]:
    """Lines that load such a library without the lock."""

    def look(node: ast.AST) -> list[int]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return []
        if isinstance(node, ast.With) and "LOADING" in [ast.unparse(item.context_expr) for item in node.items]:
            return []
        modules = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module or ""]
        is_one = bool({module.partition(".")[0] for module in modules} & CIRCULAR)
        here = [node.lineno] if isinstance(node, ast.stmt) and is_one else []
        return here + [line for child in ast.iter_child_nodes(node) for line in look(child)]

    return look(tree)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("import scipy.sparse as sp", [1]),
        ("def f():\n    from sklearn.cluster import KMeans", [2]),
        ("def f():\n    with LOADING:\n        from sklearn.cluster import KMeans", []),
        ("if TYPE_CHECKING:\n    from scipy.sparse import csr_array", []),
        ("from . import scipy", []),
    ],
)
def test_what_loads_without_the_lock_is_seen(text, lines):
    assert outside(ast.parse(text)) == lines


def test_libraries_whose_modules_import_each_other_load_under_the_lock():
    found = {path.relative_to(SOURCE): outside(ast.parse(path.read_text("utf-8"))) for path in SOURCE.rglob("*.py")}
    assert {str(path): lines for path, lines in found.items() if lines} == {}


def test_a_hidden_library_is_missing_for_a_while():
    code = (
        "from dinoscope.base.loading import hidden\n"
        "try:\n"
        "    with hidden('colorsys'): import colorsys\n"
        "except ImportError as error: print(error)\n"
        "import colorsys; print(colorsys.__name__)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["colorsys is hidden", "colorsys"]

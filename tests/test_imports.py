"""Imports point one way, and heavy libraries stay where they are needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("multipliers", "surrogate", "catalog")
OPTIONAL = ("torch", "sklearn", "sympy", "flint", "scipy", "matplotlib", "hypothesis", "rich", "typer", "pytest")

MAY_IMPORT = {
    "multipliers": {"multipliers"},
    "surrogate": {"multipliers", "surrogate"},
    "catalog": {"multipliers", "surrogate", "catalog"},
}


def allowed(library, path, at_module_level):
    """Whether a file may import a library, by the house rules."""
    parts = path.parts
    match library:
        case "torch":
            return parts[:2] == ("surrogate", "nn")
        case "triton" | "torchao" | "lightning" | "pytorch_lightning":
            return parts[:2] == ("surrogate", "nn") and not at_module_level
        case "flint":
            return parts[:2] == ("surrogate", "fit")
        case "sklearn":
            return parts[:2] == ("surrogate", "fit") or (parts[0] == "catalog" and not at_module_level)
        case "sympy":
            return parts[:2] == ("surrogate", "export") or parts == ("surrogate", "fit", "explain.py")
        case "matplotlib":
            return parts == ("multipliers", "plot.py") or parts[0] == "catalog"
        case "hypothesis":
            return parts[-1] == "testing.py"
        case "rich" | "typer":
            return parts[0] == "catalog" or (parts[:2] == ("surrogate", "nn") and not at_module_level)
        case "plotly" | "jinja2" | "markupsafe":
            return parts[:2] == ("catalog", "report") and not at_module_level
        case "pytest":
            return False
    return True


SOURCES = [path.relative_to(ROOT) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports_of(path):
    """(top-level name, line, whether it is at module level) of every import of a file."""
    tree = ast.parse((ROOT / path).read_text(), str(path))
    inside = {
        id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if node.level == 0 else [path.parts[0]]
        else:
            continue
        for name in names:
            yield name.split(".")[0], node.lineno, id(node) not in inside


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_point_one_way_and_heavy_ones_stay_at_the_edge(path):
    for name, line, at_module_level in imports_of(path):
        where = f"{path}:{line} imports {name}"
        if name in PACKAGES:
            assert name in MAY_IMPORT[path.parts[0]], f"{where}; imports point multipliers <- surrogate <- catalog"
        assert name != "tests", where
        assert allowed(name, path, at_module_level), f"{where}, which is for other folders"


def test_plots_load_matplotlib_when_called():
    path = Path("multipliers/plot.py")
    if (ROOT / path).exists():
        late = [at_module_level for name, _, at_module_level in imports_of(path) if name == "matplotlib"]
        tree = ast.parse((ROOT / path).read_text())
        guarded = sum(
            1
            for block in tree.body
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
            for node in ast.walk(block)
            if isinstance(node, ast.Import | ast.ImportFrom) and "matplotlib" in ast.unparse(node)
        )
        assert sum(late) == guarded


def run(code):
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip()


LOADED = f"; import sys; print([m for m in {OPTIONAL} if m in sys.modules])"


@pytest.mark.parametrize(
    "code", ["import multipliers", "import surrogate", "import surrogate.export, multipliers.testing"]
)
def test_importing_needs_numpy_only(code):
    assert run(code + LOADED) == "[]"


def test_loading_and_evaluating_needs_numpy_only():
    golden = ROOT / "tests" / "surrogate" / "golden_v1.json"
    code = (
        f"import surrogate; s = surrogate.load({str(golden)!r}); s([-8, 7], [0, 7]); s.factors(); s.formula(); "
        f"surrogate.loads(surrogate.dumps(s)); surrogate.exact_lengths(s.factors()); "
        f"import surrogate.export; surrogate.export.to_python(s); surrogate.export.to_c(s)"
    )
    assert run(code + LOADED) == "[]"


def test_certifying_needs_numpy_only():
    code = (
        "import multipliers, surrogate; from surrogate.basis import Identity; m = multipliers.get('exact4u'); "
        "s = surrogate.Surrogate([surrogate.Term(1, Identity(), Identity())], surrogate.MultiplierReference.of(m), "
        "surrogate.Provenance('hand')); assert surrogate.certify(s, m).is_exact"
    )
    assert run(code + LOADED) == "[]"


@pytest.mark.parametrize("package", ["multipliers", "surrogate", "catalog"])
def test_importing_is_quick(package):
    """Below 0.3 s of processor time on top of NumPy, in the best of five fresh interpreters: load does not count."""
    code = f"import numpy, time; t = time.process_time(); import {package}; print(time.process_time() - t)"
    assert min(float(run(code)) for _ in range(5)) < 0.3

"""The arrows of the architecture, read off the source: who may import whom, and what must not exist."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import sansheng

ROOT = Path(next(iter(sansheng.__path__)))
FILES = sorted(ROOT.rglob("*.py"))


def module_of(path):
    parts = ("sansheng", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
EACH = pytest.mark.parametrize("module", MODULES)


def imports(module):
    """Full names of all modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in whole}
    return found


def own_imports(module):
    return {name for name in imports(module) if name.split(".")[0] == "sansheng"}


def within(name, allowed):
    """Whether a module is one of the allowed ones or lies inside one."""
    return any(name == f"sansheng.{a}" or name.startswith(f"sansheng.{a}.") for a in allowed)


# -- the arrows --------------------------------------------------------------------------------------------------

LOWER = {
    "errors": [],
    "events": [],
    "placed": [],
    "slots": [],
    "space": ["placed", "slots"],
    "paths": [],
    "budget": [],
    "within": [],
    "model": ["space", "within"],
    "samplers": ["paths"],
    "guidance": ["samplers", "paths"],
    "told": ["space", "placed"],
    "wiener": ["space", "told"],
    "denoiser": ["paths", "space", "told", "wiener"],
    "drawing": ["denoiser", "told", "guidance", "samplers", "paths", "model", "space", "within", "errors"],
    "graphs": ["model"],
    "loop": ["model", "budget", "graphs"],
    "networks": ["networks", "space"],
    "codecs": ["codecs", "space", "errors"],
    "metrics": ["metrics"],
    "report": ["report"],
    "likelihood": ["denoiser", "samplers", "paths", "model", "space"],
    "augment": [],
    "logistic": ["space"],
    "families": [
        *("families", "denoiser", "drawing", "model", "guidance", "samplers", "paths", "space", "budget", "errors"),
        *("augment", "logistic", "likelihood", "within", "told", "placed"),
    ],
    "builtin": ["codecs", "errors"],
    "data": ["codecs", "builtin", "model", "errors"],
    "checkpoint": ["loop", "budget", "errors"],
    "console": ["events"],
}


@EACH
def test_lower_parts_import_only_what_is_below_them(module):
    part = module.split(".")[1] if "." in module else ""
    if part in LOWER:
        wrong = {name for name in own_imports(module) if not within(name, LOWER[part])}
        assert wrong == set(), f"{module} imports {sorted(wrong)}"


@EACH
def test_siblings_never_import_one_another(module):
    """Families, and codecs of one kind of data, are chosen among only where their package is put together."""
    if module.startswith("sansheng.families."):
        assert not {n for n in own_imports(module) if n.startswith("sansheng.families")}
    kinds = {f"sansheng.codecs.{kind}" for kind in ("image", "table", "series", "audio", "text", "array")}
    if module in kinds:
        assert not own_imports(module) & (kinds - {module})
    if module.startswith("sansheng.networks."):
        shared = {"sansheng.networks.layers", "sansheng.space"}
        assert own_imports(module) <= shared | ({"sansheng.networks.conv"} if module.endswith(".ladder") else set())


@EACH
def test_nothing_below_them_imports_the_command_line_the_comparison_or_the_report(module):
    for part, above in {
        "cli": ["cli", "__main__"],
        "compare": ["cli", "compare", "__main__"],
        "report": ["report", "compare", "closer", "quality_chapter", "privacy_chapter", "series_plots", "entry", "cli"],
    }.items():
        if module != "sansheng" and not within(module, above):
            assert not {n for n in own_imports(module) if within(n, [part])}, f"{module} imports {part}"


def test_there_are_no_circles():
    graph = {name: own_imports(name) - {name, "sansheng"} for name in MODULES if name != "sansheng"}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert set(order) >= set(graph)


# -- what an import costs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["sansheng", "sansheng.cli"])
def test_importing_does_not_import_torch(module):
    code = f"import {module}, sys; print(sorted({{'torch', 'pandas', 'sklearn', 'matplotlib'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


# -- what must not exist -----------------------------------------------------------------------------------------

UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNPICKLING_CALLS = {"torch.load", "torch.save", "pd.read_pickle", "pandas.read_pickle"}


def dotted(node):
    """``a.b.c`` of nested attributes."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(module):
    return [node for node in ast.walk(TREES[module]) if isinstance(node, ast.Call)]


@EACH
def test_nothing_is_ever_unpickled(module):
    assert not {name.split(".")[0] for name in imports(module)} & UNPICKLERS
    for call in calls(module):
        assert dotted(call.func) not in UNPICKLING_CALLS
        assert not dotted(call.func).endswith(".to_pickle")
        for keyword in call.keywords:
            if keyword.arg == "allow_pickle":
                assert isinstance(keyword.value, ast.Constant)
                assert keyword.value.value is False


GLOBAL_RANDOM = {"torch.manual_seed", "torch.seed", "np.random.seed", "np.random.set_state", "random.seed"}
GENERATORS = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox"}


def forked(module):
    """Calls inside ``with torch.random.fork_rng()``, which puts the global state back."""
    blocks = [
        node
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.With)
        and any(dotted(getattr(item.context_expr, "func", item)) == "torch.random.fork_rng" for item in node.items)
    ]
    return {call for block in blocks for call in ast.walk(block) if isinstance(call, ast.Call)}


@EACH
def test_there_is_no_global_random_state(module):
    assert "random" not in imports(module)
    safe = forked(module)
    for call in calls(module):
        name = dotted(call.func)
        assert name not in GLOBAL_RANDOM or call in safe, name
        if name.startswith(("np.random.", "numpy.random.")):
            assert name.split(".")[-1] in GENERATORS, name


@EACH
def test_public_functions_name_all_their_arguments(module):
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert node.args.kwarg is None, f"{module}.{node.name} takes **{node.args.kwarg.arg}"


@EACH
def test_files_are_at_most_400_lines_and_functions_60(module):
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= 400
    long = [
        node.name
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 60
    ]
    assert long == []


@EACH
def test_every_file_says_what_it_is(module):
    assert ast.get_docstring(TREES[module])


def test_there_is_no_drawer_for_everything():
    assert not [m for m in MODULES if m.split(".")[-1] in {"utils", "util", "helpers", "common", "misc"}]

"""The import arrows between the folders of core and dashboard, and which modules load without torch."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
FILES = {"checksums", "parquet_files", "paths", "temporaries"}
BASE = FILES | {
    "among",
    "ordered",
    "errors",
    "host_names",
    "schema",
    "deferred_imports",
    "device",
    "plural",
    "progress",
    "roles",
    "version",
}
BELOW_SCORES = BASE | {"data", "models", "metrics"}
BELOW_WORKFLOWS = BELOW_SCORES | {"audit", "explain", "jobs", "phantom", "review", "scores", "training"}
MAY_IMPORT = {
    **{name: BASE for name in BASE},
    "data": BASE | {"data"},
    "phantom": BASE | {"data", "phantom"},
    "models": BASE | {"data", "models"},
    "metrics": {"among", "ordered", "errors", "schema", "plural", "metrics"},
    "scores": BELOW_SCORES | {"scores"},
    "audit": BASE | {"data", "metrics", "audit"},
    "training": BELOW_SCORES | {"scores", "training"},
    "explain": BELOW_SCORES | {"scores", "explain"},
    "review": BASE | {"data", "metrics", "scores", "review"},
    "jobs": BASE | {"jobs"},
    "workflows": BELOW_WORKFLOWS | {"workflows"},
    "serving": BELOW_WORKFLOWS | {"workflows", "serving"},
    "demo": BELOW_WORKFLOWS | {"workflows"},
}


def imports(file: Path) -> set[str]:
    """Full names of the modules a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


CORE = sorted(file.relative_to(REPOSITORY).as_posix() for file in (REPOSITORY / "core").rglob("*.py"))


def modules() -> dict[str, Path]:
    """Every module of core and dashboard by its full name."""
    files = [file for room in ("core", "dashboard") for file in (REPOSITORY / room).rglob("*.py")]
    names = (file.relative_to(REPOSITORY).with_suffix("").as_posix().replace("/", ".") for file in files)
    return {name.removesuffix(".__init__"): file for name, file in zip(names, files)}


def test_no_modules_import_each_other_in_a_circle():
    """Also not by way of others, and not within functions. CycleError names the circle."""
    known = modules()
    graph = {}
    for name, file in known.items():
        found = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        # `from package import module` loads the module; any other name is one of the package itself.
        reached = {(node.module, f"{node.module}.{alias.name}") for node in found for alias in node.names}
        graph[name] = {full if full in known else package for package, full in reached} & set(known) - {name}
    assert len(list(TopologicalSorter(graph).static_order())) == len(known)


@pytest.mark.parametrize("file", CORE)
def test_core_imports_only_in_the_direction_of_the_data(file):
    found = imports(REPOSITORY / file)
    assert not {name for name in found if name.split(".")[0] in {"streamlit", "plotly", "dashboard"}}
    room = file.split("/")[1].removesuffix(".py")
    if room in {"__init__", "__main__", "commands"}:
        return
    reached = {name.split(".")[1] for name in found if name.startswith("core.")}
    assert reached <= MAY_IMPORT[room], f"{file} reaches {sorted(reached - MAY_IMPORT[room])}"


@pytest.mark.parametrize("file", [file for file in CORE if file.startswith("core/metrics/")])
def test_metrics_neither_read_files_nor_import_torch(file):
    assert not {name.split(".")[0] for name in imports(REPOSITORY / file)} & {
        "torch",
        "sklearn",
        "os",
        "pathlib",
        "json",
    }


def test_modules_that_pages_need_to_open_load_without_torch():
    rooms = [
        "core.data.index",
        "core.data.cache",
        "core.data.thumbnails",
        "core.data.decode",
        "core.phantom",
        "core.data.augment",
        "core.data.resize_loss",
        "core.audit.audit",
        "core.audit.findings",
        "core.models.checkpoint",
        "core.scores.predictions",
        "core.scores.loading",
        "core.scores.imports",
        "core.workflows.verify",
        "core.metrics.evaluation",
        "core.training.recipe",
        "core.training.balance",
        "core.review.verdict_files",
        "core.demo",
        "core.jobs",
        "core.workflows.runs",
        "core.workflows.audit_job",
        "core.workflows.trust",
        "core.explain.mean_radiograph",
        "core.workflows.map_service",
    ]
    code = f"import sys, {', '.join(rooms)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


PAGES = {file.parent.name for file in (REPOSITORY / "dashboard").glob("*/page.py")}


@pytest.mark.parametrize(
    "file", sorted(file.relative_to(REPOSITORY).as_posix() for file in (REPOSITORY / "dashboard").rglob("*.py"))
)
def test_a_page_imports_shared_parts_and_no_other_page(file):
    room = file.split("/")[1]
    reached = {name.split(".")[1] for name in imports(REPOSITORY / file) if name.startswith("dashboard.")}
    assert not reached & PAGES - {room}, f"{file} reaches the pages {sorted(reached & PAGES - {room})}"


def test_no_module_and_no_script_has_more_than_300_lines():
    files = [*modules().values(), *(REPOSITORY / "dashboard").rglob("*.js")]
    lengths = {file.relative_to(REPOSITORY).as_posix(): len(file.read_text().splitlines()) for file in files}
    assert not {name: lines for name, lines in lengths.items() if lines > 300}


def test_no_function_takes_more_than_seven_arguments():
    """Except where a function cannot take values of several fields: a command's arguments are its flags, which typer
    makes from the function's own, and a kernel of Triton takes addresses and numbers only."""
    many = {}
    for name, file in modules().items():
        functions = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)]
        for function in functions if not name.startswith("core.commands.") else ():
            given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
            kernel = "triton.jit" in map(ast.unparse, function.decorator_list)
            if not kernel and len([one for one in given if one.arg not in ("self", "cls")]) > 7:
                many[f"{name}.{function.name}"] = len(given)
    assert not many


def test_each_class_has_a_name_of_its_own():
    named: dict[str, list[str]] = {}
    for name, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                named.setdefault(node.name, []).append(name)
    assert not {name: places for name, places in named.items() if len(places) > 1}


def test_no_folder_lets_a_deep_link_bypass_home():
    assert not (REPOSITORY / "dashboard" / "pages").exists()


def test_tables_are_drawn_where_their_texts_are_guarded():
    """Streamlit's tables have a button that downloads them as CSV."""
    drawn = {
        file.relative_to(REPOSITORY).as_posix()
        for file in (REPOSITORY / "dashboard").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("dataframe", "data_editor", "table")
        if isinstance(node.value, ast.Name) and node.value.id == "st"
    }
    assert drawn == {"dashboard/shared/widgets.py"}


def test_ids_are_sought_by_one_function():
    """pandas' `isin` takes twenty times as long for names, which a page of a million radiographs cannot afford."""
    ids = re.compile(r"(study_id|image_id|group_id|sha1)\"\]\.isin\(")
    files = [file for folder in ("core", "dashboard") for file in (REPOSITORY / folder).rglob("*.py")]
    assert len(files) > 100 and not [file.name for file in files if ids.search(file.read_text())]


def test_references_are_taken_apart_in_one_module():
    """A name and a hash are compared by `core/data/references.py` only, so that all agree on what one data set is."""
    places = [file for folder in ("core", "dashboard") for file in (REPOSITORY / folder).rglob("*.py")]
    found = [str(file.relative_to(REPOSITORY)) for file in places if re.search(r"split\([\"']@", file.read_text())]
    assert found == ["core/review/addresses.py"]  # the address of a database

"""The metadata of the package agree with the code, the changelog and the requirements."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from core.version import VERSION
from tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def requirements(name: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in (REPOSITORY / name).read_text().splitlines())
    return [line for line in lines if line]


def built_metadata(folder):
    """METADATA and entry points as setuptools writes them for a wheel, and the package's files."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", *(file.name for file in REPOSITORY.glob("requirements*"))):
        shutil.copy(REPOSITORY / name, source / name)
    for name in ("core", "dashboard", "checkpoints", "docs"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wheel = folder / done.stdout.splitlines()[-1]
    shutil.unpack_archive(wheel, folder / "installed", "zip")
    return folder / "installed"


def test_the_version_is_the_newest_release_of_the_changelog():
    releases = re.findall(r"^## (\d+\.\d+\.\d+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == VERSION


def test_the_console_script_is_the_entry_of_python_m_core():
    module, _, function = PROJECT["project"]["scripts"]["overread"].partition(":")
    assert module == "core.__main__"
    assert callable(getattr(importlib.import_module(module), function))


def test_every_requirement_is_locked():
    names = [name for file in REPOSITORY.glob("requirements*.txt") for name in requirements(file.name)]
    locked = {re.split(r"[=;\[ ]", line)[0] for line in (REPOSITORY / "requirements.lock").read_text().splitlines()}
    wanted = {re.split(r"[<>=\[ ]", name)[0].lower().replace("_", "-") for name in names}
    assert wanted <= locked, f"not in requirements.lock: {sorted(wanted - locked)}; run `make lock`"


def test_an_installed_copy_has_the_requirements_the_assets_the_models_and_the_manual(tmp_path):
    installed = built_metadata(tmp_path)
    facts = next(installed.glob("overread-*.dist-info"))
    listed = re.findall(r"^Requires-Dist: (.*)$", (facts / "METADATA").read_text(), re.MULTILINE)
    wanted = requirements("requirements.txt") + [f'{line} ; extra == "{extra}"' for extra, line in extras()]
    assert set(map(Requirement, listed)) == set(map(Requirement, wanted))
    for kind in ("*.css", "*.html", "*.js", "*.svg", "*.py"):
        source = {
            file.relative_to(REPOSITORY)
            for room in ("core", "dashboard")
            for file in REPOSITORY.glob(f"{room}/**/{kind}")
        }
        assert source <= {file.relative_to(installed) for file in installed.rglob(kind)}
    # pip moves this folder to the environment, the user's base or, with --target, the folder of the packages.
    (installed / f"overread-{VERSION}.data" / "data" / "share").rename(installed / "share")
    code = (
        "import json; from core import paths; from core.models.checkpoint import list_checkpoints;"
        "from core.commands.dashboard import server_command;"
        "print(json.dumps([paths.__file__, [one.name for one in list_checkpoints()[0]],"
        " str(paths.shipped_folder('docs')), str(paths.own_checkpoints()), server_command('127.0.0.1', 8501)[4]]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "OVERREAD_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    file, models, docs, own, first_page = json.loads(done.stdout)
    assert first_page == str(installed / "dashboard" / "Home.py")
    settings = (REPOSITORY / ".streamlit" / "config.toml").read_text()
    assert (installed / "dashboard" / ".streamlit" / "config.toml").read_text() == settings
    assert file == str(installed / "core" / "paths.py")
    assert models == ["original-cnn-64", "resnet-narrow-128"]
    assert {page.name for page in Path(docs).rglob("*.md")} == {
        page.name for page in (REPOSITORY / "docs").rglob("*.md")
    }
    assert own == str(tmp_path / "home" / "checkpoints")


def extras() -> list[tuple[str, str]]:
    declared = PROJECT["tool"]["setuptools"]["dynamic"]["optional-dependencies"]
    return [
        (extra, line) for extra, source in declared.items() for file in source["file"] for line in requirements(file)
    ]

"""The recipes for a server: they parse, and what they name exists."""

import json
import re

import yaml

from core.__main__ import app
from tests.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy"


def test_the_compose_file_parses_and_starts_commands_that_exist():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert set(services) == {"dashboard", "service", "database", "orthanc"}
    command = services["service"]["command"]
    assert command[:4] == ["python", "-m", "core", "serve"]
    orthanc = json.loads(services["orthanc"]["environment"]["ORTHANC__DICOM_WEB__SERVERS"])
    assert "Authorization" in orthanc["overread"]["HttpHeaders"]  # the service asks for a token
    known = {option for one in app.registered_commands if one.callback.__name__ == "serve" for option in _options(one)}
    assert {word for word in command if word.startswith("--")} <= known


def _options(command) -> set[str]:
    import typer

    made = typer.main.get_command_from_info(command, pretty_exceptions_short=True, rich_markup_mode=None)
    return {option for parameter in made.params for option in parameter.opts}


def test_the_image_copies_files_that_exist_and_runs_as_a_user():
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert copied and all((REPOSITORY / name).exists() for name in copied)
    ignored = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[0] == "*" and not allowed & {"deploy", "workspace", ".git"}
    assert all((REPOSITORY / name).exists() for name in allowed)
    # A login that was set up in this folder gets neither into the image nor into a commit.
    secrets = ".streamlit/secrets.toml"
    assert ignored.index(secrets) > ignored.index("!.streamlit")
    assert secrets in (REPOSITORY / ".gitignore").read_text().splitlines()
    assert any(line.startswith("USER ") for line in lines) and "dashboard/Home.py" in lines[-1]
    locked = (REPOSITORY / "requirements.lock").read_text()
    assert re.search(r"^torch==", locked, re.MULTILINE) and re.search(r"^torchvision==", locked, re.MULTILINE)


def test_the_recipe_for_orthanc_names_the_script_beside_it():
    recipe = json.loads((DEPLOY / "orthanc/orthanc.json").read_text())
    assert all((DEPLOY / "orthanc" / name).is_file() for name in recipe["LuaScripts"])
    script = (DEPLOY / "orthanc/overread.lua").read_text()
    assert "/dicom-web/servers/overread/stow" in script and "overread" in recipe["DicomWeb"]["Servers"]

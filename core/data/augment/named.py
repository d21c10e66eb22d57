"""Augmentations by name: presets, and files in the workspace that the Augmentation page writes and `train` reads."""

import json
from pathlib import Path

from core.data.augment.spec import MOST_CHARACTERS, PRESETS, VERSION, Augmentation
from core.errors import OverreadError, reason_of
from core.paths import checked_name, home, write_atomically


def named_file(name: str) -> Path:
    """The file of the augmentation of this name."""
    return home() / "augmentations" / f"{checked_name(name)}.json"


def save_named(name: str, augmentation: Augmentation) -> Path:
    """Store an augmentation under a name, with its hash. OverreadError if the name is used for another one."""
    if name in PRESETS:
        raise OverreadError(f"{name} is a preset. Choose another name.", code="augmentation-name-taken")
    file = named_file(name)
    if file.exists() and (before := read_file(file)) != augmentation:
        raise OverreadError(
            f"{name} is another augmentation (found {before.hash()}, expected {augmentation.hash()}). Choose another "
            f"name, or delete {file}.",
            code="augmentation-name-taken",
        )
    content = json.dumps({"version": VERSION, **augmentation.to_dict(), "hash": augmentation.hash()}, indent=1) + "\n"
    return write_atomically(file, lambda path: path.write_text(content))


def read_file(file: Path) -> Augmentation:
    """The augmentation in a JSON file. OverreadError names the file and the problem."""
    try:
        if file.stat().st_size > 4 * MOST_CHARACTERS:
            raise OverreadError(
                f"{file} has {file.stat().st_size:,} bytes; expected a JSON object of at most {MOST_CHARACTERS:,}.",
                code="augmentation-too-long",
            )
        return Augmentation.from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OverreadError(
            f"The augmentation file {file} does not exist. Save one, or name one of {_known_names()}.",
            code="augmentation-missing",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise OverreadError(
            f"{file} cannot be read ({reason_of(error)}); expected a JSON object of an augmentation.",
            code="augmentation-unreadable",
        ) from error
    except OverreadError as error:
        raise OverreadError(f"{file}: {error}", code=error.code) from error


def list_named() -> tuple[dict[str, Augmentation], dict[str, str]]:
    """The augmentations of this workspace by name, and for each unreadable file its problem."""
    whole, broken = {}, {}
    for file in sorted((home() / "augmentations").glob("*.json")):
        try:
            whole[file.stem] = read_file(file)
        except OverreadError as error:
            broken[file.stem] = str(error)
    return whole, broken


def find_augmentation(wanted: str) -> Augmentation:
    """A preset, a name in the workspace, a JSON file, or `rotation:10,scale:0.08`; `@` and a hash may follow.

    OverreadError if it does not exist or does not have this hash.
    """
    name, _, wanted_hash = wanted.rpartition("@") if "@" in wanted and ":" not in wanted else (wanted, "", "")
    if name in PRESETS:
        found = PRESETS[name]
    elif name.endswith(".json") or "/" in name:
        found = read_file(Path(name))
    elif ":" in name:
        found = Augmentation.from_text(name)
    elif named_file(name).exists():
        found = read_file(named_file(name))
    else:
        raise OverreadError(
            f"No augmentation {name!r} (found: {_known_names()}). Choose one of these, or give a JSON file.",
            code="augmentation-missing",
        )
    if wanted_hash and wanted_hash != found.hash():
        raise OverreadError(
            f"{wanted} has the hash {wanted_hash}, but {name} is now {found.hash()}. Give the hash that you mean, or "
            "restore the file.",
            code="augmentation-changed",
        )
    return found


def _known_names() -> str:
    return ", ".join([*PRESETS, *list_named()[0]])

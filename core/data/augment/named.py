"""Augmentations by name: presets, and files in the workspace that the playground writes and `train` reads."""

import json
from pathlib import Path

from core.data.augment.spec import MOST_CHARACTERS, PRESETS, VERSION, Augmentation
from core.errors import OverreadError
from core.paths import checked_name, home, write_atomically


def named_file(name: str) -> Path:
    """Where the augmentation of that name lies."""
    return home() / "augmentations" / f"{checked_name(name)}.json"


def save_named(name: str, augmentation: Augmentation) -> Path:
    """Keep an augmentation under a name, with its hash. OverreadError where the name means another one already."""
    if name in PRESETS:
        raise OverreadError(f"{name} is a preset; choose another name.")
    file = named_file(name)
    if file.exists() and (before := read_file(file)) != augmentation:
        raise OverreadError(
            f"{name} names another augmentation already ({before.hash()}, this is {augmentation.hash()}); choose "
            f"another name, or delete {file}."
        )
    content = json.dumps({"version": VERSION, **augmentation.to_dict(), "hash": augmentation.hash()}, indent=1) + "\n"
    return write_atomically(file, lambda path: path.write_text(content))


def read_file(file: Path) -> Augmentation:
    """The augmentation in a JSON file. OverreadError names the file and what is wrong."""
    try:
        if file.stat().st_size > 4 * MOST_CHARACTERS:
            raise OverreadError(
                f"{file} has {file.stat().st_size:,} bytes; expected a JSON object of at most {MOST_CHARACTERS:,}."
            )
        return Augmentation.from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OverreadError(f"There is no augmentation file {file}; save one, or name one of {_there()}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OverreadError(f"{file} cannot be read ({error}); expected a JSON object of an augmentation.") from error
    except OverreadError as error:
        raise OverreadError(f"{file}: {error}") from error


def list_named() -> tuple[dict[str, Augmentation], dict[str, str]]:
    """The augmentations of this workspace by name, and for each file that cannot be read what is wrong."""
    whole, broken = {}, {}
    for file in sorted((home() / "augmentations").glob("*.json")):
        try:
            whole[file.stem] = read_file(file)
        except OverreadError as error:
            broken[file.stem] = str(error)
    return whole, broken


def find_augmentation(wanted: str) -> Augmentation:
    """A preset, a name in the workspace, a JSON file, or `rotation:10,scale:0.08`; `@` and its hash may follow.

    OverreadError where there is none, or where its hash is another one than was named.
    """
    name, _, told = wanted.rpartition("@") if "@" in wanted and ":" not in wanted else (wanted, "", "")
    if name in PRESETS:
        found = PRESETS[name]
    elif name.endswith(".json") or "/" in name:
        found = read_file(Path(name))
    elif ":" in name:
        found = Augmentation.from_text(name)
    elif named_file(name).exists():
        found = read_file(named_file(name))
    else:
        raise OverreadError(f"There is no augmentation {name!r}; choose one of {_there()}, or give a JSON file.")
    if told and told != found.hash():
        raise OverreadError(
            f"{wanted} names the augmentation {told}, but {name} is {found.hash()} now: it was changed since; name "
            "the hash that is meant, or restore the file."
        )
    return found


def _there() -> str:
    return ", ".join([*PRESETS, *list_named()[0]])

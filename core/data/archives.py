"""Unpack a zip from elsewhere: its list is checked before a byte is written; it is unpacked whole or not at all."""

import os
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import NO_RIGHTS, NO_ROOM, OverreadError, reason_of
from core.plural import count_text

Progress = Callable[[int, int, str], None]
UNPACKING = "unpacking"
_CHUNK = 1 << 20
_MEBIBYTE = 1 << 20
# Files that operating systems add to a zip without being asked.
_CLUTTER = {".ds_store", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class UnpackLimits:
    """Bounds of an archive. bytes: of all files unpacked. ratio: unpacked bytes for each packed byte, which counts from
    `ratio_from` bytes on; radiographs hardly shrink, and a zip bomb shrinks a thousandfold. spare: bytes that stay free
    on the disk."""

    files: int = 300_000
    bytes: int = 200 << 30
    ratio: int = 100
    ratio_from: int = 256 * _MEBIBYTE
    spare: int = 200 * _MEBIBYTE


def is_zip(file: Path) -> bool:
    """Whether a file begins as a zip does; its name does not count."""
    try:
        with file.open("rb") as opened:
            return opened.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def unpack(
    archive: Path, target: Path, progress: Progress | None = None, limits: UnpackLimits = UnpackLimits()
) -> Path:
    """Unpack a zip into the new folder `target`. A failure or an interruption leaves no folder.

    OverreadError for an archive that is damaged, encrypted, too large, a bomb, or has names or links that could reach
    outside the folder or overwrite one another; for a full disk and for missing rights.
    """
    if target.exists():
        raise OverreadError(
            f"{target} exists already; expected a new folder. Choose another name.", code="folder-exists"
        )
    partial = target.with_name(f".{target.name}.unpacking")
    try:
        _check_count(archive, limits)
        with zipfile.ZipFile(archive) as opened:
            members = checked_members(opened, archive, limits)
            total = sum(info.file_size for info, _ in members)
            shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
            partial.mkdir(parents=True)
            check_room(partial, total + limits.spare, f"{archive.name} unpacked")
            done = 0
            for info, path in members:
                done = _write(opened, info, partial / path, (done, total), progress)
        os.rename(partial, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error) as error:
        raise OverreadError(
            f"{archive.name} is damaged or cut off ({reason_of(error)}); expected a whole zip. Make or upload it "
            "again. Nothing was kept.",
            code="zip-damaged",
        ) from error
    except NotImplementedError as error:
        raise OverreadError(
            f"{archive.name} is packed by a method that is not supported ({reason_of(error)}); expected an ordinary "
            "zip. Pack it again with the standard method (deflate).",
            code="zip-method",
        ) from error
    except OSError as error:
        raise disk_error(target.parent, error, f"{archive.name} could not be unpacked") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def checked_members(opened: zipfile.ZipFile, archive: Path, limits: UnpackLimits) -> list[tuple[zipfile.ZipInfo, str]]:
    """The files of an archive with their paths, if all of them are safe to write. OverreadError otherwise."""
    members: list[tuple[zipfile.ZipInfo, str]] = []
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise OverreadError(
                f"{archive.name} contains {info.filename[:80]!r}, which is a link or a device, not a file; links are "
                "not unpacked. Pack the files themselves.",
                code="zip-link",
            )
        # Some programs of Windows write backslashes.
        parts = safe_parts(info.orig_filename.replace("\\", "/"), archive.name)
        if info.is_dir() or not parts or parts[0] == "__MACOSX" or parts[-1].lower() in _CLUTTER:
            continue
        if info.flag_bits & 1:
            raise OverreadError(
                f"{archive.name} is encrypted ({info.filename[:80]!r} needs a password); expected a zip without a "
                "password. Pack it again without one.",
                code="zip-encrypted",
            )
        path = "/".join(parts)
        _note_path(path, seen, folders, archive.name)
        members.append((info, path))
    _check_sizes([info for info, _ in members], archive, limits)
    return members


def safe_parts(name: str, source: str) -> list[str]:
    """The folders and the name of a file in an archive or upload. OverreadError for a name that is not below it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    bad = ""
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        bad = "is an absolute path"
    elif ".." in parts:
        bad = "leads out of its folder by '..'"
    elif any(not character.isprintable() for character in name):
        bad = "has a character that cannot be printed"
    elif any(len(os.fsencode(part)) > 240 for part in parts) or len(os.fsencode(name)) > 2000:
        bad = "is too long for a disk"
    if bad:
        raise OverreadError(
            f"{source} contains the name {name[:80]!r}, which {bad}; expected names below one folder. Nothing was "
            "unpacked. Pack the folder again.",
            code="zip-unsafe-name",
        )
    return parts


def check_room(folder: Path, needed: int, what: str) -> None:
    """OverreadError where the disk of a folder has fewer than `needed` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OverreadError(
            f"{what} needs {size_text(needed)} and the disk of {folder.parent} has {size_text(free)} left. Free some "
            "space, or set OVERREAD_HOME to a larger disk. Nothing was kept.",
            code="disk-full",
        )


def disk_error(folder: Path, error: OSError, what: str) -> OverreadError:
    """A full disk, missing rights or another failure to write below a folder as a sentence."""
    if error.errno in NO_ROOM:
        code, advice = "disk-full", "Free some disk space, or set OVERREAD_HOME to a larger disk"
    elif error.errno in NO_RIGHTS:
        code, advice = "folder-no-rights", f"Allow writing to {folder}, or set OVERREAD_HOME to another folder"
    else:
        code, advice = "file-unwritable", f"Check the disk of {folder}"
    return OverreadError(f"{what} ({error.strerror or error}). {advice}. Nothing was kept.", code=code)


def size_text(size: float) -> str:
    """A number of bytes: `3.2 GB`, `517 MB`, `12 kB`."""
    for unit, bytes_each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_each:
            return f"{size / bytes_each:,.{1 if size < 10 * bytes_each else 0}f} {unit}"
    return f"{size:.0f} bytes"


def _write(
    opened: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path, so_far: tuple[int, int], progress: Progress | None
) -> int:
    """Write one file. Returns the bytes written so far, with those of this file."""
    done, total = so_far
    place.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(info) as packed, place.open("xb") as file:
        while chunk := packed.read(_CHUNK):
            written += len(chunk)
            file.write(chunk)
            if progress:
                # In mebibytes, so that the counts stay readable.
                progress((done + written) // _MEBIBYTE, max(total // _MEBIBYTE, 1), UNPACKING)
    if written != info.file_size:
        raise zipfile.BadZipFile(f"{info.filename[:80]!r} has {written:,} bytes instead of {info.file_size:,}")
    return done + written


def _note_path(path: str, seen: dict[str, str], folders: dict[str, str], archive: str) -> None:
    """Remember a path. OverreadError where a disk without upper and lower case could not keep it beside the others."""
    simple = unicodedata.normalize("NFC", path).casefold()
    above = simple
    other = seen.get(simple) or folders.get(simple)
    while not other and "/" in above:
        above = above.rsplit("/", 1)[0]
        other = seen.get(above)
        folders.setdefault(above, path)
    if other:
        twice = other == path
        raise OverreadError(
            f"{archive} contains {path[:80]!r} twice; expected each file once. Pack it again."
            if twice
            else f"{archive} contains {other[:80]!r} and {path[:80]!r}, which are one file on many disks; expected "
            "names that differ in more than upper and lower case. Rename one and pack it again.",
            code="zip-name-twice" if twice else "zip-name-case",
        )
    seen[simple] = path


def _check_sizes(members: list[zipfile.ZipInfo], archive: Path, limits: UnpackLimits) -> None:
    if not members:
        raise OverreadError(f"{archive.name} contains no file; expected radiographs.", code="zip-empty")
    _check_files(len(members), archive, limits)
    total = sum(info.file_size for info in members)
    # Of the archive itself, since files of a bomb may share their packed bytes.
    packed = max(archive.stat().st_size, 1)
    if total > limits.bytes:
        raise OverreadError(
            f"{archive.name} would unpack to {size_text(total)}; at most {size_text(limits.bytes)} are unpacked. "
            "Unpack it yourself and give the folder.",
            code="zip-too-large",
        )
    if total > limits.ratio_from and total > limits.ratio * packed:
        raise OverreadError(
            f"{archive.name} has {size_text(packed)} and would unpack to {size_text(total)}, {total // packed:,} "
            f"times as much; radiographs never shrink more than {limits.ratio} times, and a zip bomb does. Nothing was "
            "unpacked.",
            code="zip-bomb",
        )


def _check_files(count: int, archive: Path, limits: UnpackLimits) -> None:
    if count > limits.files:
        raise OverreadError(
            f"{archive.name} contains {count_text(count, 'file')}; at most {limits.files:,} are unpacked. Unpack it "
            "yourself and give the folder.",
            code="zip-too-many-files",
        )


def _check_count(archive: Path, limits: UnpackLimits) -> None:
    """Compare the count at the end of the archive before its list is read, which would fill the memory."""
    with archive.open("rb") as file:
        file.seek(max(0, archive.stat().st_size - (1 << 16) - 100))
        tail = file.read()
    end, large = tail.rfind(b"PK\x05\x06"), tail.rfind(b"PK\x06\x06")
    with suppress(struct.error):
        if large >= 0:
            _check_files(struct.unpack_from("<Q", tail, large + 32)[0], archive, limits)
        elif end >= 0:
            _check_files(struct.unpack_from("<H", tail, end + 10)[0], archive, limits)

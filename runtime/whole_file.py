"""Whoever owns a file decides: the rule for every file that is written.

1. A command claims all its files before it writes one or begins its work (``Outputs``).
2. No file is written that the same command reads, and none twice, under whatever name or link.
3. What exists is replaced only where its owner said so: ``--overwrite``, or yes on a terminal.
4. A file is there whole or not at all, and one that appeared after the claim stays.
5. A link stays and the file it names is replaced; that file's mode and owner stay too.
6. Devices and pipes are written through: there is nothing to replace.

``Output.write`` is for the user's files; ``write_whole`` for those that are ours alone, such as
caches. Recordings, which grow, follow the same rule in ``partial_file``.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mgdn_edge.runtime.errors import EndedEarlyError, UserError

# Whether files that exist may be replaced; a function is asked about each of them.
Overwrite = bool | Callable[[Path], bool]

LONGEST_NAME = 255  # bytes of a file name on Linux file systems


@dataclass(frozen=True)
class Output:
    """A file or folder claimed by ``option``; ``replaces``: what exists there may go."""

    path: Path
    option: str
    replaces: bool = False

    def write(self, data: bytes) -> None:
        """The whole file at once; raises UserError where that fails.

        Where another file appeared since the claim, ``data`` stays beside it and is named.
        """
        try:
            _write(self.path, data, replace=self.replaces)
        except OSError as error:
            raise self.unwritable(error) from None

    def unwritable(self, error: Exception) -> UserError:
        """The sentence for an OSError, or an error of a library that has a ``strerror``."""
        reason = getattr(error, "strerror", None) or str(error)
        return UserError(
            f"cannot write {self.path} ({reason}); give {self.option} a place on a writable disk "
            "with room"
        )


class Outputs:
    """The files of one command: all are claimed first, then the work begins.

    ``inputs`` are the files that the same command reads; they are never replaced.
    """

    def __init__(self, inputs: Iterable[Path], overwrite: Overwrite = False) -> None:
        self._inputs: dict[object, Path] = {}
        self._claimed: dict[object, str] = {}
        self._overwrite = overwrite
        self.add_inputs(inputs)

    def add_inputs(self, inputs: Iterable[Path]) -> None:
        """More files that are read; raises UserError where one of them is claimed already."""
        for path in inputs:
            identity = _identity(path)
            self._inputs[identity] = path
            if identity in self._claimed:
                option = self._claimed[identity]
                raise UserError(f"{option} would overwrite the input {path}; give another name")

    def claim(
        self, path: Path, option: str, *suffixes: str, updates: bool = False, ours: bool = False
    ) -> Output:
        """``path`` as given to ``option`` -> the file to write; raises UserError.

        Its name must end in one of ``suffixes``, if there are any. ``updates``: the command is to
        change this very file, so that it may be read and replaced. ``ours``: what exists belongs to
        the work that goes on here, so that nobody is asked.
        """
        if suffixes and path.suffix.lower() not in suffixes:
            raise UserError(
                f"{option} {path} does not end in {' '.join(suffixes)}; name it NAME{suffixes[0]}"
            )
        try:
            if path.is_dir():
                example = path / f"NAME{suffixes[0] if suffixes else ''}"
                raise UserError(f"{option} {path} is a folder; name a file in it: {example}")
            if is_device(path):
                return Output(path, option)
            exists = path.exists()
            if exists and not path.is_file():
                raise UserError(f"{option} {path} is not a file; give another {option}")
            self._check_place(path, option)
            self._check_free(path, option, updates=updates)
            replaces = updates or ours or self._may_replace(path, option, exists=exists)
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, Python < 3.13
            raise Output(path, option).unwritable(error) from None
        return Output(path, option, replaces)

    def claim_folder(self, path: Path, option: str, *suffixes: str) -> Output:
        """``path`` as given to ``option`` -> the folder to fill; raises UserError.

        One that holds anything but ``NAME.part`` folders counts as existing. It must not hold an
        input that ends in one of ``suffixes``, as what will be written does.
        """
        try:
            if path.exists() and not path.is_dir():
                raise UserError(f"{option} {path} is a file; name a folder")
            self._check_place(path, option)
            self._check_free(path, option)
            entries = list(path.iterdir()) if path.is_dir() else []
            for entry in entries:
                found = self._inputs.get(_identity(entry))
                if found is not None and entry.suffix.lower() in suffixes:
                    raise UserError(
                        f"{option} {path} would overwrite the input {found}; give another {option}"
                    )
            own = re.compile(rf"{re.escape(path.resolve().name)}\.part\d*", re.DOTALL)
            exists = any(not (own.fullmatch(entry.name) and entry.is_dir()) for entry in entries)
            replaces = self._may_replace(path, option, exists=exists)
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, Python < 3.13
            raise Output(path, option).unwritable(error) from None
        return Output(path, option, replaces)

    def _check_place(self, path: Path, option: str) -> None:
        place = path.resolve().parent if path.is_symlink() else path.parent
        if not place.is_dir():
            raise UserError(
                f"{option} {path}: {place} is not a folder; create it first: mkdir -p {place}"
            )
        with suppress(FileNotFoundError):
            path.stat()  # raises for names too long and links in a circle
        # Searching a folder needs x as well as w; an existing folder is written itself.
        place = path if path.is_dir() else place
        if not os.access(place, os.W_OK | os.X_OK):
            raise UserError(
                f"{option} {path}: cannot write there (no permission in {place}); "
                f"give another {option}"
            )
        if path.exists() and not os.access(path, os.W_OK):
            raise UserError(f"{option} {path} is write-protected; give another {option}")

    def _check_free(self, path: Path, option: str, *, updates: bool = False) -> None:
        identity = _identity(path)
        if identity in self._inputs and not updates:
            raise UserError(
                f"{option} {path} would overwrite the input {self._inputs[identity]}; "
                f"give another {option}"
            )
        if identity in self._claimed:
            raise UserError(
                f"{option} {path} would overwrite another file of this run, "
                f"{self._claimed[identity]}; rename it"
            )
        self._claimed[identity] = f"{option} {path}"

    def _may_replace(self, path: Path, option: str, *, exists: bool) -> bool:
        if isinstance(self._overwrite, bool):
            if exists and not self._overwrite:
                what = "is not empty" if path.is_dir() else "exists"
                raise UserError(
                    f"{option} {path} {what}; pass --overwrite to replace it, or give another "
                    f"{option}"
                )
            return self._overwrite
        if exists and not self._overwrite(path):
            raise UserError(f"{option} {path} stays as it is; give another {option}")
        return exists


class RunFile:
    """What ``Output`` claimed; once written it is the run's own to replace.

    ``written`` says that it was; ``failure`` is why the latest ``try_write`` did not.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.written = False
        self.failure: UserError | None = None

    def write(self, data: bytes) -> None:
        """The whole file at once; raises UserError where that fails."""
        self.output.write(data)
        self.output = replace(self.output, replaces=True)
        self.written = True

    def try_write(self, data: bytes) -> None:
        """The same for a file the work goes on without: a failure waits for ``check``."""
        if self._belongs_to_another():
            return  # ``data`` of the first time lies beside it, and would again each time
        try:
            self.write(data)
        except UserError as error:
            self.failure = error
        else:
            self.failure = None

    def check(self) -> None:
        """Raise the failure that waits, if one does."""
        if self.failure is not None:
            raise self.failure

    def _belongs_to_another(self) -> bool:
        appeared = not self.output.replaces and self.output.path.exists()
        return self.failure is not None and appeared


@contextmanager
def beside(main: Path | None = None, figures: Any = None) -> Iterator[None]:  # noqa: ANN401 - any
    """A file beside ``main`` or ``figures``: where it fails, EndedEarlyError says what there is."""
    try:
        yield
    except UserError as error:
        text = f"{error}" if main is None else f"{main} is written, but {error}"
        raise EndedEarlyError(text, figures) from None


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, a file of our own; what was there is replaced.

    A reader sees the old file or the new one; a crash leaves the old one. Raises OSError.
    """
    _write(path, data, replace=True)


def put_in_place(source: Path, target: Path, *, replace: bool) -> None:
    """Rename ``source`` to ``target``; FileExistsError where it exists, unless ``replace``."""
    if replace:
        source.replace(target)
        return
    try:
        os.link(source, target, follow_symlinks=False)  # unlike a rename, never over a file
    except FileExistsError:
        raise
    except OSError:  # no hard links, as on FAT: take the name, then rename over what we made
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            source.replace(target)
        except OSError:
            target.unlink()
            raise
        return
    source.unlink()


def keep_mode(descriptor: int, target: Path) -> None:
    """Give an open file the mode and the owner of ``target``, if that exists."""
    with suppress(OSError):  # no such file, or a file system without modes
        former = target.stat()
        with suppress(OSError):  # only root gives files away
            os.fchown(descriptor, former.st_uid, former.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(former.st_mode) & 0o777)


def is_device(path: Path) -> bool:
    """True for what is written through: a pipe, a terminal, ``/dev/null``."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def partial_names(target: Path, suffix: str) -> Iterator[Path]:
    """NAME.part.SUFFIX beside NAME.SUFFIX, then NAME.part2.SUFFIX and so on."""
    stem = target.name.removesuffix(suffix) if suffix else target.name
    number = 1
    while True:
        end = f".part{number if number > 1 else ''}{suffix}"
        room = LONGEST_NAME - len(os.fsencode(end))
        yield target.with_name(os.fsdecode(os.fsencode(stem)[:room]) + end)
        number += 1


def _write(path: Path, data: bytes, *, replace: bool) -> None:
    if is_device(path):
        with path.open("wb") as device:
            device.write(data)
        return
    target = path.resolve()
    # An unpredictable name, and O_EXCL: nobody can have put a link there.
    sibling = target.with_name(f".mgdn-{secrets.token_hex(8)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(sibling, flags, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if replace:
                keep_mode(descriptor, target)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        try:
            put_in_place(sibling, target, replace=replace)
        except FileExistsError:
            kept = _keep_beside(sibling, target)
            raise UserError(
                f"{path} appeared meanwhile and stays; what was to go there is {kept}"
            ) from None
    except BaseException:
        sibling.unlink(missing_ok=True)
        raise


def _keep_beside(sibling: Path, target: Path) -> Path:
    for name in partial_names(target, target.suffix):
        try:
            put_in_place(sibling, name, replace=False)
        except FileExistsError:
            continue
        return name
    raise AssertionError  # the names do not end


def _identity(path: Path) -> object:
    """The same for every name of one file: device and inode, or where it would be."""
    try:
        status = path.stat()
    except OSError:
        try:
            return path.resolve()
        except RuntimeError:  # links in a circle, Python < 3.13
            return path.absolute()
    return status.st_dev, status.st_ino

"""Recordings grow beside their name and get it when they are complete.

NAME.mp4 grows as NAME.part.mp4, a folder NAME as NAME.part (inside it where it exists already:
what is moved at the end must be on one file system). A partial recording is locked while a run
writes it, so a second run into the same name is refused. What an ended run left under such a name
is never touched: the next takes NAME.part2. The rules of ``whole_file`` hold at the end.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.whole_file import (
    Output,
    is_device,
    keep_mode,
    partial_names,
    put_in_place,
)

TURN_SECONDS = 1.0  # names are looked for and taken in microseconds


@dataclass(frozen=True)
class Kept:
    """What a run that ended early leaves: where, and how many frames."""

    path: Path
    frames: int

    def sentence(self, total: int | None = None) -> str:
        """In words; ``total`` is how many there were to be, None where that is not known."""
        of_all = f" of {total}" if total else ""
        return f"{self.path} has {self.frames}{of_all} frame{'s' if self.frames != 1 else ''}"


class Partial(ABC):
    """A claimed output while it grows at ``path``, from ``begin`` to ``complete`` or ``leave``."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.path = output.path
        # As typed where it can be: messages name it.
        plain = output.path.name not in ("", "..") and not output.path.is_symlink()
        self._target = output.path if plain else output.path.resolve()
        self._descriptor: int | None = None

    @property
    def begun(self) -> bool:
        """Whether the partial name is taken and locked."""
        return self._descriptor is not None

    def begin(self) -> None:
        """Take a partial name and lock it; raises UserError, also where another run writes."""
        place, suffix = self._place()
        stem = self._target.name.removesuffix(suffix) if suffix else self._target.name
        ours = re.compile(rf"{re.escape(stem)}\.part\d*{re.escape(suffix)}", re.DOTALL)
        try:
            with _turn(place):
                for path in place.iterdir() if os.access(place, os.R_OK) else ():
                    if ours.fullmatch(path.name):
                        self._check_ended(path)
                for path in partial_names(place / self._target.name, suffix):
                    try:
                        self._descriptor = self._create(path)
                    except FileExistsError:
                        self._check_ended(path)
                        continue
                    self.path = path
                    _lock(self._descriptor)
                    break
        except OSError as error:
            raise self.output.unwritable(error) from None

    def complete(self) -> None:
        """Move what was recorded to its own name; raises UserError, and then it stays where it is.

        It stays too where something else has appeared there that may not be replaced.
        """
        if self._descriptor is None:
            return
        try:
            self._sync()
            self._move()
        except FileExistsError as error:
            appeared = error.filename2 or error.filename
            raise UserError(f"{appeared} appeared meanwhile and stays") from None
        except OSError as error:
            raise self.output.unwritable(error) from None
        self._unlock()

    def leave(self, *, empty: bool) -> None:
        """End early: what was recorded stays at ``path``; nothing stays of an ``empty`` one."""
        if self._descriptor is None:
            return
        with suppress(OSError):  # an error is being reported already
            if empty:
                self._remove()
            else:
                self._sync()
        self._unlock()

    def _check_ended(self, path: Path) -> None:
        if _is_locked(path):
            raise UserError(
                f"{self.output.option} {self.output.path} is being written by another run (as "
                f"{path}); wait for it, or give another {self.output.option}"
            )

    def _unlock(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @abstractmethod
    def _place(self) -> tuple[Path, str]:
        """The folder in which it grows, and the suffix its name keeps."""

    @abstractmethod
    def _create(self, path: Path) -> int:
        """Make it, its descriptor; FileExistsError where there is anything."""

    @abstractmethod
    def _sync(self) -> None: ...

    @abstractmethod
    def _move(self) -> None: ...

    @abstractmethod
    def _remove(self) -> None: ...


class PartialFile(Partial):
    """A file that grows. Devices and pipes are written through and have no partial name."""

    def begin(self) -> None:
        """As ``Partial.begin``; does nothing for a device."""
        if not is_device(self.output.path):
            super().begin()

    @property
    def size(self) -> int:
        """Bytes in the file so far; 0 of a device."""
        return 0 if self._descriptor is None else os.fstat(self._descriptor).st_size

    def cut(self, size: int) -> None:
        """Take away what comes after ``size`` bytes: half of something, where a disk is full."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, size)

    def _place(self) -> tuple[Path, str]:
        return self._target.parent, self.output.path.suffix

    def _create(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        if self.output.replaces:
            keep_mode(descriptor, self._target)
        return descriptor

    def _sync(self) -> None:
        assert self._descriptor is not None
        os.fsync(self._descriptor)

    def _move(self) -> None:
        put_in_place(self.path, self._target, replace=self.output.replaces)

    def _remove(self) -> None:
        self.path.unlink()


class PartialFolder(Partial):
    """A folder that fills; ``names`` are the files that this run has put in.

    Where the folder's owner agreed, files of the same names are replaced and those go that
    ``is_former`` knows as an earlier run's; nothing else does.
    """

    def __init__(self, output: Output, is_former: Callable[[Path], bool]) -> None:
        super().__init__(output)
        self.names: set[str] = set()
        self._is_former = is_former

    def _place(self) -> tuple[Path, str]:
        return (self._target if self._target.is_dir() else self._target.parent), ""

    def _create(self, path: Path) -> int:
        path.mkdir()
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    def _sync(self) -> None:
        """Every file in it was synced when it was written."""

    def _move(self) -> None:
        if not self._target.is_dir():
            if self._target.exists():
                raise FileExistsError(0, "", str(self._target))
            self.path.rename(self._target)
            return
        if not self.output.replaces:
            for name in self.names:
                if os.path.lexists(self._target / name):
                    raise FileExistsError(0, "", str(self._target / name))
        for name in sorted(self.names):
            put_in_place(self.path / name, self._target / name, replace=self.output.replaces)
        if self.output.replaces:
            for path in list(self._target.iterdir()):
                if path.name not in self.names and self._is_former(path):
                    path.unlink()
        self.path.rmdir()

    def _remove(self) -> None:
        self.path.rmdir()


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One process at a time looks for names in ``folder``, where its file system has locks."""
    if not os.access(folder, os.R_OK):  # a folder may be writable and yet keep its names secret
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + TURN_SECONDS
        while not _lock(descriptor) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False where another process has it locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here, as on some network disks: the names keep runs apart
        return True
    return True


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # gone, or another user's, whom no lock of ours could tell from a stranger
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)

"""The folder of an export: claimed before the work, filled aside, put in its place at the end."""

import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mgdn_edge.runtime.bundle.export_record import list_export_files, read_export_record
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.whole_file import Output, Outputs, Overwrite, partial_names


def claim_export(output: Path, inputs: Sequence[Path], overwrite: Overwrite) -> Output:
    """``output`` -> the folder to write; UserError unless it is new, empty or an export to replace.

    Whatever else is in a folder is not ours to remove: such a folder is never replaced.
    """
    try:
        _refuse_others_files(output)
    except OSError as error:
        raise Output(output, "OUT").unwritable(error) from None
    return Outputs(inputs, overwrite).claim_folder(output, "OUT", ".onnx", ".json")


@contextmanager
def staged_export(claimed: Output) -> Iterator[Path]:
    """A folder beside ``claimed`` to fill; it takes that place at the end, and goes on an error.

    Where something appeared there meanwhile, it stays, and the UserError names where the export is.
    """
    target = claimed.path.resolve()
    # An unpredictable name; mkdir does not follow a link that was put there.
    staging = target.with_name(f".mgdn-{secrets.token_hex(8)}.part")
    try:
        staging.mkdir()
        yield staging
        if target.is_dir():
            staging.chmod(stat.S_IMODE(target.stat().st_mode))
        _put_in_place(staging, target, claimed)
    except OSError as error:
        raise claimed.unwritable(error) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)  # not there where it was renamed


def _refuse_others_files(folder: Path) -> None:
    """UserError where the folder holds anything but one export."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        record = read_export_record(folder)
    except UserError:
        raise UserError(
            f"OUT {folder} is neither empty nor an export of this version, so nothing in it is "
            "replaced; give another OUT"
        ) from None
    expected = {folder / name for name in list_export_files(record)}
    for path in sorted(folder.rglob("*")):
        if path not in expected and (path.is_symlink() or not path.is_dir()):
            raise UserError(
                f"OUT {folder} holds {path.relative_to(folder)}, which is not of the export in it; "
                "move it away, or give another OUT"
            )


def _put_in_place(staging: Path, target: Path, claimed: Output) -> None:
    """Rename ``staging`` to ``target``; an export that is replaced goes once the new one is there.

    Between the two renames the former export lies whole beside its place.
    """
    former = target.with_name(f"{staging.name}.former")
    try:
        if target.is_dir() and any(target.iterdir()):
            if not claimed.replaces:
                raise UserError(f"{claimed.path} appeared meanwhile and stays")
            _refuse_others_files(target)
            target.replace(former)
        staging.replace(target)  # of folders only an empty one is ever replaced by this
    except (OSError, UserError) as error:
        if former.exists():
            former.replace(target)
        kept = _keep_beside(staging, target)
        why = claimed.unwritable(error) if isinstance(error, OSError) else error
        raise UserError(f"{why}; the export is in {kept}") from None
    shutil.rmtree(former, ignore_errors=True)


def _keep_beside(staging: Path, target: Path) -> Path:
    for name in partial_names(target, ""):
        try:
            name.mkdir()
        except FileExistsError:
            continue
        return staging.replace(name)
    raise AssertionError  # the names do not end

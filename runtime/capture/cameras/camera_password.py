"""with_password: a camera's password, from a file or the environment, into its address.

Everyone can read arguments in the process list; the file and the environment do not.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.secrets.redaction import redact, remember_password

Role = Literal["visible", "infrared", "output"]

LONGEST_PASSWORD = 1024  # bytes; who gives a longer file has given another file
NO_PASSWORD_SCHEMES = ("file", "v4l2", "csi", "synthetic")
READABLE_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH
# user-id=USER of a GStreamer source, its value quoted or with escaped blanks.
GST_USER = re.compile(
    r"(?<![\w-])user-id\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?:\\.|[^\s\\\"'])+)"
)
GST_PASSWORD = re.compile(r"(?<![\w-])user-pw\s*=")
GST_ADDRESS = re.compile(r"(?<=://)[^\s/?#@:\"']+:?(?=@)")


def with_password(
    address: str, role: Role, file: Path | None, tell: Callable[[str], None] = lambda text: None
) -> str:
    """``address`` with the password in ``file``, else in MGDN_{ROLE}_PASSWORD, percent-encoded.

    Without either it is returned as it is; so are files and local cameras, which take none. The
    password of a ``gst:`` pipeline becomes its source's ``user-pw``. ``tell`` gets a notice where
    others may read the file. Raises UserError where the file holds no password, the address takes
    none, names no user or has a password already.
    """
    option, variable = f"--{role}-password-file", f"MGDN_{role.upper()}_PASSWORD"
    takes_one = _takes_password(address)
    if file is not None:
        if not takes_one:
            raise UserError(
                f"{address} is not a network camera or server and takes no password; leave out "
                f"{option}"
            )
        return _insert(address, _read_password(file, option, tell), option)
    password = os.environ.get(variable, "")
    return _insert(address, password, variable) if password and takes_one else address


def _takes_password(address: str) -> bool:
    scheme, _, rest = address.partition(":")
    scheme = scheme.lower()
    if scheme == "gst":
        return "://" in rest or GST_USER.search(rest) is not None
    return scheme == "rtsp" or (rest.startswith("//") and scheme not in NO_PASSWORD_SCHEMES)


def _read_password(file: Path, option: str, tell: Callable[[str], None]) -> str:
    """The one line of ``file``; raises UserError where it is not one."""
    try:
        with file.open("rb") as opened:
            data = opened.read(LONGEST_PASSWORD + 1)
            mode = os.fstat(opened.fileno()).st_mode
    except OSError as error:
        raise UserError(
            f"cannot read {option} {file} ({error.strerror}); name a file that holds the password "
            "on one line"
        ) from None
    try:
        password = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise UserError(f"{option} {file} is not text; write the password into it") from None
    if not password:
        raise UserError(f"{option} {file} is empty; write the password into it, on one line")
    if len(data) > LONGEST_PASSWORD or re.search(r"[\r\n\0]", password):
        raise UserError(
            f"{option} {file} holds more than a password; write the password alone, on one line"
        )
    if stat.S_ISREG(mode) and mode & READABLE_BY_OTHERS:
        tell(f"others can read the password in {file}; run: chmod 600 {file}")
    return password


def _insert(address: str, password: str, given: str) -> str:
    """``address`` with ``password``; ``given`` says where it came from."""
    remember_password(password)
    if address.lower().startswith("gst:"):
        return _insert_into_pipeline(address, password, given)
    scheme, slashes, rest = re.split(r"(:/*)", address, maxsplit=1)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, at, _ = authority.rpartition("@")
    user, _, typed = login.partition(":")
    if typed or (not at and redact(address) != address):
        raise _two_passwords(address, given)
    if not user:
        host = f"{scheme}{slashes}USER@{rest[len(login) + len(at) :]}"
        raise UserError(f"{address} names no user for the password of {given}; give {host}")
    return f"{scheme}{slashes}{user}:{quote(password, safe='')}{rest[len(login) :]}"


def _insert_into_pipeline(pipeline: str, password: str, given: str) -> str:
    if GST_PASSWORD.search(pipeline):
        raise _two_passwords(pipeline, given)
    users = [*GST_USER.finditer(pipeline)]
    users = users or [*GST_ADDRESS.finditer(pipeline)]
    if len(users) != 1:
        found = "several users" if users else "no user"
        raise UserError(
            f"{pipeline} names {found} for the password of {given}; give user-id=USER to one "
            "source of the pipeline"
        )
    end = users[0].end()
    if users[0].re is GST_USER:
        return f"{pipeline[:end]} user-pw={_gst_string(password)}{pipeline[end:]}"
    user = users[0][0].rstrip(":")
    return f"{pipeline[: users[0].start()]}{user}:{quote(password, safe='')}{pipeline[end:]}"


def _gst_string(text: str) -> str:
    """``text`` as a pipeline's parser reads it back: it strips quotes and backslashes."""
    if text[0] == text[-1] == '"':  # such a value is taken for a string once more; octal there
        text = '"' + "".join(f"\\{octet:03o}" for octet in text.encode()) + '"'
    escaped = re.sub(r"([\\\"])", r"\\\1", text)
    return f'"{escaped}"'


def _two_passwords(address: str, given: str) -> UserError:
    return UserError(f"{address} holds a password, and {given} gives another; leave out one")

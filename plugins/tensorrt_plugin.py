"""The TensorRT plugin library: found, checked and registered, in this order.

An engine that holds DynamicFilter can be deserialised only after ``load_plugin``. Nothing is
loaded before its digest is compared: a library is code. The digest in the file beside the library
(``mgdn_tensorrt.so.sha256``, written by the build) shows a damaged or half-copied library; whoever
may replace the library may replace that file too, so a bundle passes the digest of its own,
verified, manifest.
"""

import ctypes
import functools
import hashlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mgdn_edge.plugins.native import find_library

LIBRARY_NAME = "mgdn_tensorrt.so"
ABI_VERSION = 1  # MGDN_TENSORRT_ABI_VERSION of tensorrt/mgdn_tensorrt.h
OLDEST_MAJOR = 10  # the first TensorRT with IPluginV3
PLUGIN = ("DynamicFilter", "1", "mgdn")  # name, version, namespace
BUILD_COMMAND = "pip install --force-reinstall --no-deps ."
HOW_TO_BUILD = (
    "build it on the board, in mgdn-edge's sources, where JetPack has nvcc and TensorRT's headers: "
    f"{BUILD_COMMAND} (headers elsewhere: add -C cmake.define.TENSORRT_INCLUDE_DIR=FOLDER)"
)

_ELF_MACHINES = {62: "x86_64", 183: "aarch64"}  # e_machine of the ELF header


class Creator(Protocol):
    """``tensorrt.IPluginCreatorV3One``, as far as it is looked at."""

    name: str
    plugin_version: str
    plugin_namespace: str


class Registry(Protocol):
    """``tensorrt.IPluginRegistry``, as far as it is used."""

    @property
    def all_creators(self) -> list[Creator]: ...
    def load_library(self, plugin_path: str) -> object: ...


class Tensorrt(Protocol):
    """The module ``tensorrt``, as far as it is used; the caller imports it."""

    __version__: str

    def get_plugin_registry(self) -> Registry: ...
    def __hash__(self) -> int: ...


class TensorrtPluginError(Exception):
    """The plugin cannot be used; says what was found, what is needed, what to build and how."""


@dataclass(frozen=True)
class TensorrtPlugin:
    """A library that passed every check that needs no TensorRT.

    ``sha256`` belongs into the key of an engine built with it, ``tensorrt_major`` is that of the
    headers it was compiled with.
    """

    path: Path
    sha256: str
    tensorrt_major: int


def find_plugin() -> Path | None:
    """The built plugin library beside this package, None where there is none."""
    return find_library(name=LIBRARY_NAME)


def check_plugin(path: Path | None = None, sha256: str | None = None) -> TensorrtPlugin:
    """Platform, digest and ABI version of a plugin library, in this order; needs no TensorRT.

    ``path`` None takes ``find_plugin``; ``sha256`` None takes the digest recorded beside the
    library. Raises TensorrtPluginError.
    """
    found = path or find_plugin()
    if found is None or not found.is_file():
        where = found or f"{LIBRARY_NAME} beside mgdn_edge.plugins"
        raise TensorrtPluginError(f"there is no {where}; {HOW_TO_BUILD}")
    content = found.read_bytes()
    _check_machine(found, content)
    digest = hashlib.sha256(content).hexdigest()
    wanted = sha256 or _recorded_digest(found)
    if digest != wanted.lower():
        raise TensorrtPluginError(
            f"{found} has sha256 {digest} but {wanted} is recorded: it is damaged or another "
            f"build's; copy it again together with its .sha256, or {HOW_TO_BUILD}"
        )
    return TensorrtPlugin(found.resolve(), digest, _check_abi(found.resolve()))


def load_plugin(
    tensorrt: Tensorrt, path: Path | None = None, sha256: str | None = None
) -> TensorrtPlugin:
    """Check a plugin library and register it with ``tensorrt``, the imported module, for good.

    ``path`` and ``sha256`` as for ``check_plugin``. Loading the same library again does nothing.
    Raises TensorrtPluginError where a check fails, where TensorRT is too old or of another major
    version than the library, and where its registry does not take the library.
    """
    version = str(tensorrt.__version__)
    major = int(version.partition(".")[0])
    if major < OLDEST_MAJOR:
        raise TensorrtPluginError(
            f"TensorRT {version} is too old: the plugin needs {OLDEST_MAJOR}.0 or newer; "
            "install JetPack 6.1 or newer, which brings 10.3"
        )
    plugin = check_plugin(path, sha256)
    if plugin.tensorrt_major != major:
        # ILogger, which the library calls, got another layout in 11.
        raise TensorrtPluginError(
            f"{plugin.path} was built with TensorRT {plugin.tensorrt_major}'s headers but "
            f"{version} runs here; {HOW_TO_BUILD}"
        )
    _register(tensorrt, plugin)
    return plugin


@functools.cache
def _register(tensorrt: Tensorrt, plugin: TensorrtPlugin) -> None:
    registry = tensorrt.get_plugin_registry()
    if _is_registered(registry):
        raise TensorrtPluginError(
            "another library has registered mgdn's DynamicFilter in this process; "
            f"start a new one to use {plugin.path}"
        )
    registry.load_library(str(plugin.path))
    if not _is_registered(registry):
        raise TensorrtPluginError(
            f"TensorRT {tensorrt.__version__} did not take {plugin.path}, its log says why; "
            f"{HOW_TO_BUILD}"
        )


def _is_registered(registry: Registry) -> bool:
    # Not get_creator: TensorRT logs an error where that finds nothing.
    return any(
        (creator.name, creator.plugin_version, creator.plugin_namespace) == PLUGIN
        for creator in registry.all_creators
    )


def _check_machine(path: Path, content: bytes) -> None:
    """Raise TensorrtPluginError unless the file is a 64-bit library for this processor."""
    if len(content) < 64 or content[:6] != b"\x7fELF\x02\x01":
        raise TensorrtPluginError(f"{path} is not a 64-bit shared library; {HOW_TO_BUILD}")
    machine = int.from_bytes(content[18:20], "little")
    name = _ELF_MACHINES.get(machine, f"ELF machine {machine}")
    if name != platform.machine():
        raise TensorrtPluginError(
            f"{path} is for {name} but this machine is {platform.machine()}; {HOW_TO_BUILD}"
        )


def _recorded_digest(path: Path) -> str:
    record = path.with_name(path.name + ".sha256")
    try:
        digest = record.read_text().split()[:1]
    except (OSError, UnicodeDecodeError) as error:
        raise TensorrtPluginError(
            f"{path} has no recorded digest ({error}): the build writes {record.name} beside it; "
            f"copy both, pass sha256, or {HOW_TO_BUILD}"
        ) from error
    if not digest or not re.fullmatch(r"[0-9a-fA-F]{64}", digest[0]):
        raise TensorrtPluginError(f"{record} holds no sha256; {HOW_TO_BUILD}")
    return digest[0]


def _check_abi(path: Path) -> int:
    """Major version of the TensorRT headers. Raises TensorrtPluginError at another ABI version."""
    try:
        library = ctypes.CDLL(str(path))
        version = int(library.mgdn_tensorrt_abi_version())
        major = int(library.mgdn_tensorrt_major())
    except (OSError, AttributeError) as error:
        raise TensorrtPluginError(f"{path} does not load here ({error}); {HOW_TO_BUILD}") from error
    if version != ABI_VERSION:
        raise TensorrtPluginError(
            f"{path} has ABI version {version} but this package needs {ABI_VERSION}; {HOW_TO_BUILD}"
        )
    return major

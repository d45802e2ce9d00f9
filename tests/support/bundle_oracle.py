"""What any file may do to the reader: open with digests that fit, or one sentence."""

import hashlib
import io
import sys
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import cv2
from rich.console import Console

from mgdn_edge.runtime.bundle.archive import encode_archive
from mgdn_edge.runtime.bundle.manifest import encode_manifest, listed_files
from mgdn_edge.runtime.bundle.onnx_file import rewrite_model
from mgdn_edge.runtime.bundle.print_manifest import print_manifest
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.baselines import BaselineSession
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import start_variant
from mgdn_edge.runtime.fusion.contract.golden_check import check_golden

LONGEST_SENTENCE = 1000  # characters: what a terminal can show without losing the beginning

_watching: list[tuple[str, tuple[object, ...]]] | None = None
WATCHED = ("open", "socket.", "subprocess.", "os.system", "os.exec", "ctypes.dlopen", "os.remove",
           "os.rename", "os.mkdir", "os.symlink", "shutil.", "pickle.")  # fmt: skip
INSTALLED = (sys.prefix, sys.base_prefix)  # a module imported on first use


def _audit(event, arguments):
    if _watching is not None and event.startswith(WATCHED):
        _watching.append((event, arguments))


sys.addaudithook(_audit)


@contextmanager
def watch():
    """The audit events of opening, running and connecting while the block runs."""
    global _watching
    _watching = events = []
    try:
        yield events
    finally:
        _watching = None


class RecordingSession(BaselineSession):
    """Stands for ONNX Runtime: records what it is given to parse."""

    parsed: list[bytes]

    def __init__(self, model, *, variant, **options):
        super().__init__("average")
        self.parsed.append(hashlib.sha256(model).hexdigest())
        rewrite_model(model, f"variant {variant}")


def judge(path, original_manifest: bytes, original: dict[str, bytes]) -> str:
    """Open, verify, describe and start ``path`` -> what came of it; AssertionError if wrong."""
    parsed: list[str] = []
    recording = type("Recording", (RecordingSession,), {"parsed": parsed})
    decode = cv2.imdecode

    def record_picture(buffer, flags):
        parsed.append(hashlib.sha256(buffer.tobytes()).hexdigest())
        return decode(buffer, flags)

    backend = "mgdn_edge.runtime.fusion.backends.onnxruntime_cpu.OnnxRuntimeSession"
    with ExitStack() as stack:
        stack.enter_context(patch(backend, recording))
        stack.enter_context(patch("cv2.imdecode", record_picture))
        events = stack.enter_context(watch())
        outcome, listed = _run(path, original_manifest, original)
    for event, arguments in events:
        opened = str(arguments[0]) if event == "open" else ""
        assert opened == str(path) or opened.startswith(INSTALLED), f"{event} {arguments}"
    assert set(parsed) <= listed, "something was parsed whose digest is not in the manifest"
    return outcome


def _run(path, original_manifest, original) -> tuple[str, set[str]]:
    listed: set[str] = set()
    try:
        with open_bundle(path) as bundle:
            listed = {ref.sha256 for ref in listed_files(bundle.manifest)}
            check_description(bundle)
            start_all(bundle)  # before verify: each file's own digest is what guards it
            bundle.verify()
            check_contents(bundle, path, original_manifest, original)
            return "opens", listed
    except UserError as error:
        check_sentence(str(error))
        return "refused", listed


def start_all(bundle):
    """Every variant started and its golden pair read; a wrong pair is a sentence like any."""
    for variant in bundle.manifest.variants:
        start(bundle, variant)


def start(bundle, variant):
    try:
        with start_variant(bundle, variant) as session:
            check_golden(bundle, variant, session)
    except UserError as error:
        check_sentence(str(error))


def check_sentence(text: str) -> None:
    assert text and text.isprintable() and len(text) <= LONGEST_SENTENCE, repr(text[:2000])


def check_description(bundle) -> None:
    shown = io.StringIO()
    print_manifest(bundle.manifest, signed=bundle.signed, console=Console(file=shown, width=200))
    assert all(line.isprintable() for line in shown.getvalue().split("\n"))
    encode_manifest(bundle.manifest)


def check_contents(bundle, path, original_manifest, original) -> None:
    """What opens and verifies is one archive only, and the original's if it has its manifest."""
    contents = {ref.path: bundle.read(ref) for ref in listed_files(bundle.manifest)}
    for ref in listed_files(bundle.manifest):
        assert hashlib.sha256(contents[ref.path]).hexdigest() == ref.sha256
    for name in ("manifest.json", "MANIFEST.sig"):
        if name in bundle._entries:
            contents[name] = bundle._read_small(name, 1 << 20)
    assert encode_archive(contents) == path.read_bytes()
    if contents["manifest.json"] == original_manifest:
        contents.pop("MANIFEST.sig", None)
        assert contents == original

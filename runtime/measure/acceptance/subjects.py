"""Subjects: a precision at a size, the variant that serves it, its session and its parity."""

from __future__ import annotations

import msgspec

from mgdn_edge.runtime.bundle.manifest import Manifest, Variant
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backend_table import open_variant
from mgdn_edge.runtime.fusion.contract.opened_session import OpenedSession
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.machine.progress import Progress
from mgdn_edge.runtime.picture.frame import Size

BASE_SIZE: Size = (480, 640)
SIZES: tuple[Size, ...] = ((512, 640), (720, 1280), BASE_SIZE)
REFERENCE_PRECISION = "fp32"  # runs on every backend
ORDER = (REFERENCE_PRECISION, "fp16", "int8")


class Subject(msgspec.Struct, frozen=True):
    """Frames of ``size`` (height, width) on ``variant``."""

    variant: Variant
    size: Size

    @property
    def precision(self) -> str:
        """The variant's."""
        return self.variant.precision

    @property
    def size_text(self) -> str:
        """WIDTHxHEIGHT."""
        return f"{self.size[1]}x{self.size[0]}"

    @property
    def label(self) -> str:
        """Such as "fp32 640x480"; clauses are named with it."""
        return f"{self.precision} {self.size_text}"

    @property
    def variant_text(self) -> str:
        """The variant's name, and what it means where it is not one of that size."""
        is_dynamic = self.variant.height is None
        name = self.variant.name
        return f"{name} (the bundle has none of this size)" if is_dynamic else name


def list_subjects(manifest: Manifest, backend: str) -> list[Subject]:
    """Every precision the bundle holds for ``backend`` at every size, the base size last.

    The variant is the static one of that size, else the dynamic one; a size that neither takes is
    left out. So the last subject is the lowest precision at the base size. UserError where none
    takes that.
    """
    found = []
    precisions = sorted({each.precision for each in manifest.variants}, key=ORDER.index)
    for size in SIZES:
        for precision in precisions:
            # Lower precisions are made for a backend each; float32 runs anywhere.
            usable = [
                each
                for each in manifest.variants
                if each.precision == precision
                and (precision == REFERENCE_PRECISION or backend in each.backends)
            ]
            exact = [each for each in usable if (each.height, each.width) == size]
            dynamic = [each for each in usable if each.height is None]
            found += [Subject(each, size) for each in (exact or dynamic)[:1]]
    if not found or found[-1].size != BASE_SIZE:
        offered = ", ".join(f"{each.name} ({each.precision})" for each in manifest.variants)
        raise UserError(
            f"{manifest.name} has no variant for {BASE_SIZE[1]}x{BASE_SIZE[0]} on {backend}; it "
            f"has: {offered}; create the bundle with a dynamic one"
        )
    return found


def open_subject(
    bundle: Bundle, subject: Subject, choice: SessionChoice, progress: Progress
) -> OpenedSession:
    """Open the subject on the choice's backend; its parity is measured, the refusal not raised.

    An engine is built where none is cached. UserError or DeviceError where it cannot be opened.
    """
    opened = open_variant(bundle, subject.variant, choice, size=subject.size, progress=progress)
    implementation = opened.session.filter_implementation
    filtered = f", {implementation} filter" * bool(implementation)
    text = f"variant {subject.variant_text}{filtered}; {opened.description}"
    return msgspec.structs.replace(opened, description=text)

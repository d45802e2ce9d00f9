"""A manifest as tables on the terminal."""

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mgdn_edge.runtime.bundle.fusion_spec import channel_streams
from mgdn_edge.runtime.bundle.manifest import Manifest, listed_files
from mgdn_edge.runtime.errors import printable
from mgdn_edge.runtime.quality.precision_verdict import describe_verdict

SHORT_DIGEST = 16  # characters on the terminal; --json has all


def print_manifest(manifest: Manifest, *, signed: bool, console: Console | None = None) -> None:
    """Print spec, variants, files and provenance."""
    console = console or Console()
    spec, provenance = manifest.spec, manifest.provenance
    facts = Table(title=Text(f"{manifest.name} ({manifest.network})"), show_header=False, box=None)

    def add(label: str, value: str) -> None:
        # A bundle's words are neither markup nor terminal commands.
        facts.add_row(Text(printable(label)), Text(printable(value)))

    add("made by", manifest.created_by)
    add("signature", "present, not checked" if signed else "none")
    for core_input in spec.inputs:
        streams = channel_streams(core_input)
        shown = streams[0] if len(set(streams)) == 1 else ", ".join(streams)
        add(
            f"input {core_input.name}",
            f"{shown}, {core_input.channels} channels, "
            f"mean {core_input.mean:g}, std {core_input.std:g}",
        )
    if spec.output is not msgspec.UNSET:
        add("output", f"mean {spec.output.mean:g}, std {spec.output.std:g}")
    if spec.output_range == "stretch":
        add("output range", "each image stretched to 0..255; for stills")
    add("padding", f"{spec.pad_mode} to a multiple of {spec.multiple} ({spec.pad_rule})")
    add("global statistics", "yes" if spec.global_statistics else "no")
    weights = provenance.weights
    add("weights", f"{weights.file}, sha256 {weights.sha256[:SHORT_DIGEST]}")
    add("licence", weights.licence)
    for note in weights.notes:
        add("note", note)
    if provenance.training is not None:
        for source in provenance.training.data:
            add("trained on", f"{source.name}, {source.items} items: {source.licence}")
        for note in provenance.training.notes:
            add("training note", note)
    if provenance.calibration is not None:
        calibration = provenance.calibration
        add("calibrated on", f"{calibration.selection} ({calibration.method})")
        add("ranges", f"sha256 {calibration.ranges[:SHORT_DIGEST]}")
        for note in calibration.notes:
            add("calibration note", note)
    for verdict in manifest.verdicts:
        add(f"{verdict.precision}, {verdict.backend}", describe_verdict(verdict))
    for tool, version in sorted(provenance.tools.items()):
        add("tool", f"{tool} {version}")
    for metric, value in (manifest.quality or {}).items():
        add(metric, value if isinstance(value, str) else f"{value:g}")
    console.print(facts)

    variants = Table("variant", "precision", "backends", "golden tolerance")
    for variant in manifest.variants:
        levels = variant.golden.tolerance_levels
        backends = ", ".join(variant.backends)
        variants.add_row(
            variant.name, variant.precision, Text(printable(backends)), f"{levels} of 255"
        )
    console.print(variants)

    files = Table("file", "bytes", "sha256")
    files.columns[1].justify = "right"
    for ref in sorted(listed_files(manifest), key=lambda ref: ref.path):
        files.add_row(ref.path, str(ref.bytes), ref.sha256[:SHORT_DIGEST])
    console.print(files)

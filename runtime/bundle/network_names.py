"""A network's name -> its bundle: packaged ones, files; and the baselines, which have none."""

from __future__ import annotations

import difflib
from pathlib import Path

from mgdn_edge.runtime.errors import UserError

BASELINES = ("average", "laplacian", "guided")
BUNDLE_SUFFIX = ".mgdn"
PACKAGED_FOLDER = Path(__file__).parents[1] / "bundles"


def list_networks() -> list[str]:
    """Names ``open_session`` knows: packaged bundles first, then the classical baselines."""
    return [*sorted(packaged_bundles()), *BASELINES]


def find_bundle(network: str | Path) -> Path:
    """A packaged network's name or a .mgdn path -> the bundle; UserError for a baseline."""
    if network in BASELINES:
        raise UserError(
            f"{network} is a classical baseline: it has no bundle and no graph of nodes; to time "
            f"it as a whole: mgdn bench --network {network}"
        )
    if Path(network).suffix == BUNDLE_SUFFIX:
        return Path(network)
    packaged = packaged_bundles().get(str(network))
    if packaged is None:
        raise UserError(_unknown_network(str(network)))
    return packaged


def packaged_bundles() -> dict[str, Path]:
    """Bundles that came with the package, by name."""
    return {path.stem: path for path in PACKAGED_FOLDER.glob(f"*{BUNDLE_SUFFIX}")}


def _unknown_network(name: str) -> str:
    known = list_networks()
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return (
        f"network {name!r} is unknown; {hint}known: {', '.join(known)}, "
        f"or the path of a {BUNDLE_SUFFIX} file"
    )

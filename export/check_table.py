"""A CheckReport as tables on the terminal."""

import math

from rich.console import Console
from rich.table import Table

from mgdn_edge.export.check_export import CheckReport


def print_check(report: CheckReport) -> None:
    """Rows, nodes where there are some, and the verdict last."""
    console = Console()
    table = Table()
    for heading in ("frame", "graph", "backend", "max", "mean", "PSNR dB", "SSIM", ""):
        table.add_column(heading, overflow="fold")
    for row in report.rows:
        parity = row.parity
        ratio = "equal" if math.isinf(parity.psnr) else f"{parity.psnr:.1f}"
        table.add_row(
            row.frame,
            row.graph,
            row.backend,
            f"{parity.max_error:.2g}",
            f"{parity.mean_error:.2g}",
            ratio,
            f"{parity.ssim:.6f}",
            "ok" if parity.passed else f"FAILED, {parity.tolerance:g} allowed",
        )
    console.print(table)
    if report.nodes:
        nodes = Table("node", "max", "mean", "scale", "")
        for node in report.nodes:
            nodes.add_row(
                node.name,
                f"{node.max_error:.2g}",
                f"{node.mean_error:.2g}",
                f"{node.scale:.3g}",
                "ok" if node.passed else "DIVERGES",
            )
        console.print(nodes)
    if report.first_diverging:
        console.print(f"first diverging node: {report.first_diverging}")
    console.print("passed" if report.passed else "FAILED")

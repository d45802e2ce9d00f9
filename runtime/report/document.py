"""A template of this package and its values -> one self-contained HTML file, written whole."""

from __future__ import annotations

from pathlib import Path

from mgdn_edge.runtime.secrets.redaction import redact
from mgdn_edge.runtime.whole_file import Output

TEMPLATES = Path(__file__).parent / "templates"


def write_document(output: Output, template: str, **values: object) -> None:
    """``template`` with ``values`` -> ``output``; UserError where that cannot be written."""
    output.write(render_document(template, **values))


def render_document(template: str, **values: object) -> bytes:
    """A template's name and its values -> the page.

    Every value is escaped, passwords in texts are redacted; a name the template uses and
    ``values`` lacks is an error.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = {
        name: redact(value) if isinstance(value, str) else value for name, value in values.items()
    }
    page = environment.get_template(template).render(shown)
    # A file name that is not UTF-8 reaches us with surrogates; the page shows them as "?".
    return page.encode(errors="replace")

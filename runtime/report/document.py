"""A template of this package and its values -> one self-contained HTML file, written whole."""

from __future__ import annotations

from pathlib import Path

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.redaction import redact
from mgdn_edge.runtime.whole_file import write_whole

TEMPLATES = Path(__file__).parent / "templates"


def write_document(path: Path, template: str, **values: object) -> None:
    """Render ``template`` with ``values`` into ``path``; UserError where that cannot be written.

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
    told = {
        name: redact(value) if isinstance(value, str) else value for name, value in values.items()
    }
    page = environment.get_template(template).render(told)
    try:
        # A file name that is not UTF-8 reaches us with surrogates; the page shows them as "?".
        write_whole(path, page.encode(errors="replace"))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; give another --report") from error

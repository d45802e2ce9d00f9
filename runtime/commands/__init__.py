"""Thin typer commands; each calls one public function."""

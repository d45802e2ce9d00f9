"""A missing extra is named with the line that installs it."""

import pytest

from mgdn_edge.runtime import extras
from mgdn_edge.runtime.errors import UserError


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if "onnx" in name else object())
    advice = r"needs onnx, onnx_ir, .*pip install 'mgdn-edge\[export\]'"
    with pytest.raises(UserError, match=advice):
        extras.require_extra("export")


def test_nothing_is_said_where_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: object())
    extras.require_extra("export")

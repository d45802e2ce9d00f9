"""Extras: which optional packages a command needs, and the line that installs them."""

from importlib.util import find_spec

from mgdn_edge.runtime.errors import UserError

MODULES = {
    "export": ("torch", "onnx", "onnx_ir", "onnxscript", "safetensors"),
    "page": ("starlette", "uvicorn"),
    "calibration": ("onnx", "onnx_ir"),
}


def require_extra(extra: str) -> None:
    """Raise UserError naming the line to type unless every module of ``extra`` is installed."""
    missing = [name for name in MODULES[extra] if find_spec(name) is None]
    if missing:
        raise UserError(
            f"this command needs {', '.join(missing)}, not installed here; "
            f"run: pip install 'mgdn-edge[{extra}]'"
        )

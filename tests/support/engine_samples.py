"""Keys, engines and a device for the tests of engines, none of them real."""

from pathlib import Path

import msgspec

from mgdn_edge.runtime.fusion.engines.engine_cache import new_record
from mgdn_edge.runtime.fusion.engines.engine_key import EngineKey
from mgdn_edge.runtime.fusion.engines.engine_plan import Builder
from mgdn_edge.runtime.fusion.engines.obtain_engine import FreeMemory
from mgdn_edge.runtime.machine.device import Device

STANDIN = Path(__file__).parent / "standin"
ORIN = Device("Orin", "8.7", 16, True, "540.4.0", "12.6", "12.6", "36.4.3")
STANDIN_BUILDER = Builder("tensorrt", "builder_standin", "10.3.0")
KEY = EngineKey(
    model_sha256="a" * 64,
    filter="plugin",
    plugin_abi=1,
    plugin_sha256="b" * 64,
    height=480,
    width=640,
    precision="fp32",
    recipe=1,
    builder="tensorrt",
    builder_version="10.3.0",
    gpu="Orin",
    compute_capability="8.7",
    sm_count=16,
    driver="540.4.0",
    cuda_driver="12.6",
    cuda_runtime="12.6",
    l4t="36.4.3",
    workspace_mib=1024,
    tf32=False,
    optimization_level=3,
)
PLENTY = FreeMemory(host=lambda: 1 << 40)


def changed_key(field):
    """KEY with another value of one field."""
    value = getattr(KEY, field)
    if isinstance(value, bool):
        other = not value
    elif isinstance(value, int):
        other = value + 1
    else:
        other = {"filter": "body"}.get(field, f"9{value[1:]}")
    return msgspec.structs.replace(KEY, **{field: other})


def store_engine(cache, key=KEY, data=b"engine", network="net", variant="640x480"):
    """An engine in the cache, as a build would leave it."""
    record = new_record(data, network=network, variant=variant, key=key, seconds=2.0, layers=3)
    return cache.store(data, record)

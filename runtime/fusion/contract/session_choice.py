"""SessionChoice: what may be chosen about a session, in one struct that every caller hands on."""

from __future__ import annotations

import msgspec

from mgdn_edge.runtime.fusion.contract.backend_names import FilterChoice


class SessionChoice(msgspec.Struct, frozen=True):
    """None leaves a choice to the network and this machine; what is named is what is used.

    ``backend`` None is onnxruntime-cpu; ``fallback`` is taken where the device cannot serve
    ``backend``. ``variant`` and ``precision`` name a file of the bundle. One frame is spread over
    ``threads`` CPU threads, None takes every CPU this process may use. ``filter`` "native" needs
    the native DynamicFilter (with TensorRT the plugin), "body" runs the standard operators of its
    function body, None takes the native one where it is installed, with TensorRT always.
    """

    backend: str | None = None
    fallback: str | None = None
    variant: str | None = None
    precision: str | None = None
    threads: int | None = None
    filter: FilterChoice | None = None

    def beside(self) -> SessionChoice:
        """For a network that is only compared with the one chosen: the same threads, no more."""
        return SessionChoice(threads=self.threads)


DEFAULT_CHOICE = SessionChoice()

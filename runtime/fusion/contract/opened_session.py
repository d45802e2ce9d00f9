"""OpenedSession: a session whose first picture was compared and not yet judged."""

from __future__ import annotations

import msgspec

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.quality.parity import Parity


class OpenedSession(msgspec.Struct, frozen=True):
    """``parity`` is how far the session's picture is from its ``reference``.

    ``description`` says how it was opened. ``refusal`` is the error that keeps pictures this
    far off from being shown, None where they are near enough. The caller closes the session.
    """

    session: Session
    reference: str
    parity: Parity
    description: str
    refusal: UserError | None = None

    def trust(self) -> Session:
        """The session; where its pictures are refused it is closed and the refusal raised."""
        if self.refusal is not None:
            self.session.close()
            raise self.refusal
        return self.session

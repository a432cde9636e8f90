"""What can go wrong with a cluster; apart, so that nobody imports one to catch this."""

from __future__ import annotations

from digit_classification.errors import UserError


class ClusterError(UserError):
    """The cluster cannot be used; the message is one sentence for the user."""

"""Signals for code in the same process, on a namespace of our own (blinker)."""

from __future__ import annotations

from blinker import NamedSignal, Namespace, Signal

__all__ = ["Signal", "changed", "own_changed"]

_namespace = Namespace()

changed = _namespace.signal(
    "changed",
    # a name and no Table: that is another object after each change of shape, and blinker tells objects by identity
    doc="Sent once for each table in a batch that was read from the log: ``sender`` is the table's name with its "
    "schema, such as ``public.orders``, ``batch`` the :class:`~sseapp.log.change.Batch` of that table's changes. "
    "One of kind ``r`` says to read the table again, for its ``reason``: the table was watched, or it or its watch has "
    "changed; ``old`` and ``new`` are ``None``. Nothing is sent when a watch ends, nor when the listener begins anew.",
)


def own_changed() -> Signal:
    """A signal like :data:`changed` that is of one application alone."""
    return NamedSignal(changed.name, changed.__doc__)

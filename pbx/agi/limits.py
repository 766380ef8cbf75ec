"""What one FastAGI peer may ask of us, and for how long. All times in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    max_sessions: int = 2000
    """Calls served at once; Asterisk is told ``failure`` for those beyond."""
    max_waiting: int = 1000
    """Connections, beyond ``max_sessions``, that may be open without being served."""
    header_seconds: float = 5.0
    """From connecting to the end of the opening lines."""
    header_lines: int = 200
    header_line_bytes: int = 8192
    header_bytes: int = 65536
    reply_bytes: int = 65536
    command_seconds: float = 5.0
    """For an answer that Asterisk can give at once; added to what a command takes by itself."""
    stream_seconds: float = 900.0
    """The longest prompt."""
    session_seconds: float = 3600.0
    """A session's whole life. Waiting callers are in Queue(), not here."""
    farewell_seconds: float = 2.0
    """How long we read on after ``failure``, so that closing does not overtake it."""

"""Placing one call: the attempt is committed, now Asterisk is asked to dial. Never twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from dialer.lines import Line
from dialer.outcomes import Classified
from dialer.tracker import Tracker
from incident.outcomes import AttemptOutcome
from pbx import names
from pbx.ami import AmiClient, AmiError, InvalidValue, NotConnected, OutcomeUnknown, Refused

log: Final = logging.getLogger(__name__)

CONTEXT: Final = "outbound"


class Placer:
    """``in_doubt``: called when an Originate may or may not have been carried out."""

    def __init__(self, ami: AmiClient, tracker: Tracker, in_doubt: Callable[[], None]) -> None:
        self._ami = ami
        self._tracker = tracker
        self._in_doubt = in_doubt

    def unreadable(self, line: Line) -> None:
        """The contact's number cannot be opened with the incident's key: nobody can be called."""
        log.error("attempt %s: its contact's number cannot be read", line.id)
        detail = "its number cannot be read"
        self._tracker.end(line, Classified(AttemptOutcome.FAILED, detail))

    async def place(
        self,
        line: Line,
        *,
        phone: str,
        caller_id: str,
        ring_seconds: int,
        may_send: Callable[[], str],
        sending: Callable[[bool], None],
    ) -> None:
        """Ask Asterisk to dial, once.

        ``may_send`` is asked at the last moment: empty, or why not any more. ``sending`` is told
        whether the order goes out. The four ways it can go:

        * accepted: events tell the rest;
        * nothing was sent (no link, or paused meanwhile): the attempt ends as failed, "not
          sent"; nobody was called, so the try does not count;
        * refused: the attempt ends as failed; it counts, so that a mistake does not run for ever;
        * sent, but the reply is lost or late: it may be ringing. The attempt stays open, and
          recovery looks its channel up. It is never sent again.
        """
        why_not = may_send()
        sending(not why_not)
        if why_not:
            self._tracker.not_sent(line, why_not)
            return
        line.placed = time.monotonic()
        line.doubtful = True
        try:
            await self._ami.originate(
                channel=f"PJSIP/{phone}@{names.carrier_endpoint(line.carrier)}",
                context=CONTEXT,
                exten="s",
                channel_id=line.id,
                timeout_ms=ring_seconds * 1000,
                caller_id=caller_id,
                variables={
                    f"__{names.ATTEMPT}": line.id,
                    f"__{names.CAMPAIGN}": line.campaign,
                    f"__{names.INCIDENT}": line.incident,
                    f"__{names.LANGUAGE}": line.language,
                },
            )
        except NotConnected:
            self._tracker.not_sent(line, "no link to Asterisk")
        except InvalidValue as error:
            self._tracker.not_sent(line, f"header {error.header}: {error.why}", tries=True)
        except Refused as error:
            detail = f"Asterisk refused: {error.message}"
            self._tracker.end(line, Classified(AttemptOutcome.FAILED, detail))
        except OutcomeUnknown:
            log.warning("attempt %s: sent, but no reply; looking its channel up", line.id)
            self._in_doubt()
        except AmiError as error:
            # Whatever else comes from the link: it was sent, so it may have happened.
            log.warning("attempt %s: %s; looking its channel up", line.id, type(error).__name__)
            self._in_doubt()
        else:
            line.doubtful = False
            self._tracker.placed(line)

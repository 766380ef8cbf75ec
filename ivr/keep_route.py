"""The conversation with a caller who pressed the key while waiting; the place is held already."""

from __future__ import annotations

from ivr.calls import HOTLINE, CallBook
from ivr.flows.keep_place import Held, keep_place
from ivr.journal import Journal
from ivr.served import Incidents, NotServed
from ivr.talk import END_CALL, Talk
from pbx import names
from pbx.agi import AgiSession


class KeepRoute:
    """The FastAGI handler ``/keep``, with the incident and the placeholder's token as arguments."""

    def __init__(self, incidents: Incidents, book: CallBook, journal: Journal) -> None:
        self._incidents = incidents
        self._book = book
        self._journal = journal

    async def __call__(self, session: AgiSession) -> None:
        """Raises NotServed, and whatever goes wrong: BL_NEXT then stays empty and the emergency
        path takes the number. (CallerHungUp, too, when an agent comes and the caller is joined.)"""
        request = session.request
        incident_id, token = (*request.args, "", "")[:2]
        incident = self._incidents.get(incident_id)
        if incident is None:
            raise NotServed(incident_id)
        call = self._book.get(request.unique_id) or self._book.begin(
            request.unique_id, incident.id, via=HOTLINE, content_version=incident.content_version
        )
        talk = Talk(session, incident, call, self._book)
        language = await session.get_variable(names.LANGUAGE)
        if language in incident.languages:
            await talk.speak(language)
        rank = await session.get_variable(names.RANK) or ""
        caller = await session.get_variable(names.CALLER) or ""
        since = int(rank) / 1000 if rank.isdigit() else self._book.now()
        key = await keep_place(
            talk, self._journal, "waiting", caller=caller, held=Held(token, since)
        )
        if key != END_CALL:
            await talk.announce("callback.back_in_line")
            await session.set_variable(names.NEXT, "back")

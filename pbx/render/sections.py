"""The sections of Asterisk's configuration that repeat: carriers, agents, queues, DIDs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from incident.plan import Overflow
from incident.settings import CarrierSettings
from pbx import names
from pbx.render.template import TemplateError

_PLAIN = re.compile(r"[A-Za-z0-9_+.=~-]+")
_CLEANED = tuple(
    f"Set({field}=${{FILTER({allowed},${{{field}}})}})"
    for field, allowed in (
        ("CALLERID(num)", "0-9+"),
        ("CALLERID(ani)", "0-9+"),
        ("CALLERID(dnid)", "0-9+"),
        ("CALLERID(rdnis)", "0-9+"),
        ("CALLERID(name)", "A-Za-z0-9 .\\x2d"),
    )
)
"""What a caller says about itself, made harmless before anything reads it: Asterisk unescapes
a SIP address (%0D%0A is a line break then) and writes it raw into AMI events and AGI requests."""
_GENERATED = "; Generated from breachline.toml, the incidents and the agents. Do not edit.\n"


def _require_plain(what: str, *values: str) -> None:
    """These become section names, dialplan and passwords: a stray character is another line."""
    if not all(_PLAIN.fullmatch(value) for value in values):
        raise TemplateError(f"{what} is empty or holds a character that Asterisk could misread")


@dataclass(frozen=True, slots=True)
class HotlineNumber:
    """An activated incident as Asterisk needs to know it. ``did`` is E.164 with its plus.

    Raises TemplateError for a value that cannot stand in Asterisk's files.
    """

    incident: str
    did: str
    languages: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.languages:
            raise TemplateError(f"incident {self.incident!r} has no language")
        _require_plain("an incident's id or language", self.incident, *self.languages)
        _require_plain("an incident's number", self.did)

    @property
    def dialled_forms(self) -> tuple[str, ...]:
        """How carriers write the DID: E.164, without plus, and for NANP the ten digits."""
        digits = self.did.removeprefix("+")
        forms = [self.did, digits]
        if len(digits) == 11 and digits.startswith("1"):
            forms.append(digits[1:])
        return tuple(forms)


@dataclass(frozen=True, slots=True)
class AgentPhone:
    """An agent's SIP account and the queues that the agent serves.

    Raises TemplateError for a value that cannot stand in Asterisk's files.
    """

    number: str
    password: str
    queues: tuple[str, ...]

    def __post_init__(self) -> None:
        _require_plain("an agent's number", self.number)
        _require_plain("an agent's password", self.password)
        _require_plain("an agent's queue", *self.queues)


@dataclass(frozen=True, slots=True)
class Outsourcer:
    """Where an incident's callers may be sent: the plan's number, through a trunk that exists.

    Raises TemplateError for a value that cannot stand in Asterisk's files.
    """

    incident: str
    overflow: Overflow
    max_channels: int

    def __post_init__(self) -> None:
        _require_plain("an incident's id", self.incident)
        _require_plain("the outsourcer's carrier or number", self.carrier, self.overflow.number)

    @property
    def carrier(self) -> str:
        return self.overflow.carrier


def carriers(items: Iterable[CarrierSettings]) -> str:
    """PJSIP sections of every trunk: an endpoint that we call, one for calls that come from its
    address, and nothing that registers.

    Two, because a node that is full closes the second and must still be able to call people back.
    """
    out = [_GENERATED]
    for carrier in items:
        name = names.carrier_endpoint(carrier.name)
        inbound = names.inbound_endpoint(carrier.name)
        suffix = ";transport=tcp" if carrier.transport == "tcp" else ""
        suffix = suffix.replace(";", "\\;")
        out.append(
            f"[{name}](carrier)\n"
            # A call that goes out and is sent on (302) by the other side goes nowhere: Asterisk
            # would look for the new number here.
            "context = refused\n"
            f"transport = transport-{carrier.transport}\n"
            f"allow = {','.join(carrier.codecs)}\n"
            f"aors = {name}\n\n"
            f"[{name}]\ntype = aor\ncontact = sip:{carrier.host}:{carrier.port}{suffix}\n\n"
            f"[{inbound}](carrier)\n"
            f"transport = transport-{carrier.transport}\n"
            f"allow = {','.join(carrier.codecs)}\n\n"
            f"[{inbound}]\ntype = identify\nendpoint = {inbound}\nmatch = {carrier.host}\n"
        )
    return "\n".join(out)


def agents(phones: Iterable[AgentPhone]) -> str:
    """PJSIP sections of every agent's telephone."""
    out = []
    for phone in phones:
        name = names.agent_endpoint(phone.number)
        out.append(
            f"[{name}](agent)\nauth = {name}\naors = {name}\n"
            f'callerid = "Agent {phone.number}" <{phone.number}>\n'
            f"set_var = BL_AGENT={phone.number}\n\n"
            f"[{name}](agent-aor)\n\n"
            f"[{name}]\ntype = auth\nauth_type = digest\nusername = {name}\n"
            f"password = {phone.password}\n"
        )
    return "\n".join(out)


def queues(
    incidents: Iterable[HotlineNumber], live_prompts: str, waits: str, *, keep_place: bool = True
) -> str:
    """For each incident and language a queue for callers, and one for answered notice calls.

    ``waits``: folder of the announcements of ``pbx.prompts.waits``. ``keep_place``: whether a
    key leaves the line.
    """
    out = [_GENERATED]
    for item in incidents:
        for language in item.languages:
            queue = names.queue(item.incident, language)
            spoken = f"{live_prompts}/{item.incident}/{language}"
            # The place in line (text, number), then what else there is to say: app_queue takes a
            # key at any time during the last of these, but not while it says the place.
            out.append(
                f"[{queue}](incident)\n"
                f"queue-youarenext = {spoken}/wait.next\n"
                f"queue-thereare = {spoken}/wait.place\n"
                "queue-callswaiting =\n"
                f"queue-thankyou = {waits}/{item.incident}/{language}/queue.wait\n"
                + ("context = waiting-keys\n" if keep_place else "")
            )
            out.append(f"[{names.notices(queue)}](notices)\n")
    return "\n".join(out)


def outsourcers(items: Iterable[Outsourcer]) -> str:
    """What ``dialplan/overflow.conf`` calls: one number for each incident that has an outsourcer.

    A caller is nobody there, unless the plan lets the number be passed.
    """
    out = ["", "[outsourcer]"]
    for item in items:
        plan, trunk = item.overflow, item.carrier
        number = "${BL_CALLER}" if "number" in plan.passed else "anonymous"
        name = "" if "number" in plan.passed else "Anonymous"
        options = "mb(outsourcer-call^s^1)U(outsourcer-answered^s^1)"
        out += [
            f"exten => {item.incident},1,Set(GROUP(trunk)={trunk})",
            f" same => n,GotoIf($[${{GROUP_COUNT({trunk}@trunk)}} > {item.max_channels}]?full)",
            f" same => n,Set(CALLERID(name)={name})",
            f" same => n,Set(CALLERID(num)={number})",
            *(
                f" same => n,Set(__{variable}={int(what in plan.passed)})"
                for what, variable in (
                    ("language", names.TELL_LANGUAGE),
                    ("reference", names.TELL_REFERENCE),
                )
            ),
            f" same => n,Dial(PJSIP/{plan.number}@{names.carrier_endpoint(trunk)}"
            f",{plan.answer_within},{options})",
            " same => n,Set(BL_RESULT=${DIALSTATUS})",
            " same => n,Set(GROUP(trunk)=none)",
            " same => n,Return()",
            " same => n(full),Set(BL_RESULT=FULL)",
            " same => n,Set(GROUP(trunk)=none)",
            " same => n,Return()",
        ]
    return "\n".join([*out, ""])


def extensions(incidents: Iterable[HotlineNumber], phones: Iterable[AgentPhone]) -> str:
    """DIDs to incidents, and which queues each agent signs in to."""
    out = [_GENERATED, "[dids]"]
    for item in incidents:
        for form in item.dialled_forms:
            out += [
                f"exten => {form},1,{_CLEANED[0]}",
                *(f" same => n,{cleaned}" for cleaned in _CLEANED[1:]),
                f" same => n,Set(__{names.INCIDENT}={item.incident})",
                f" same => n,Set(BL_DEFAULT_LANGUAGE={item.languages[0]})",
                " same => n,Goto(hotline,s,1)",
            ]
    sign_in, sign_out = ["", "[agent-sign-in]"], ["", "[agent-sign-out]"]
    for phone in phones:
        interface = f"PJSIP/{names.agent_endpoint(phone.number)}"
        sign_in.append(f"exten => {phone.number},1,NoOp()")
        sign_out.append(f"exten => {phone.number},1,NoOp()")
        served = [each for queue in phone.queues for each in (queue, names.notices(queue))]
        for index, queue in enumerate(served):
            member = f"{queue},{interface}"
            there = f'",${{QUEUE_MEMBER_LIST({queue})}}," =~ ",{interface},"'
            sign_in += [
                f" same => n,GotoIf($[{there}]?in{index})",
                f" same => n,AddQueueMember({member},0,,{phone.number},{interface})",
                f" same => n(in{index}),NoOp()",
            ]
            sign_out += [
                f" same => n,GotoIf($[{there}]?out{index}:not{index})",
                f" same => n(out{index}),RemoveQueueMember({member})",
                f" same => n(not{index}),NoOp()",
            ]
        sign_in.append(" same => n,Return()")
        sign_out.append(" same => n,Return()")
    return "\n".join([*out, *sign_in, *sign_out, ""])

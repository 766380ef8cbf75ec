"""The recording script: what a voice artist reads, and how the files are to be named."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final, Literal

from incident.content import Text, spoken_texts
from incident.plan import Plan

Layout = Literal["markdown", "html", "text"]

READING_SPEED: Final = 14.0
"""Letters a second of a calm reader: about 150 English words a minute."""

_WHERE: Final = {
    "language.offer": "the first words of a call, each language in turn",
    "greeting": "after the language was chosen",
    "affected.ask_reference": "the caller asks whether they are affected",
    "affected.found": "the reference number was found",
    "affected.not_found": "the reference number was not found",
    "affected.not_listed_help": "help for someone without a letter",
    "after_answer": "after every answer",
    "invalid": "a key that means nothing here",
    "no_input": "no key was pressed",
    "to_agent": "before waiting for an agent",
    "queue.wait": "now and then while the caller waits for an agent",
    "wait.next": "while the caller waits and is next",
    "wait.place": "while the caller waits; a recorded number follows at once",
    "wait.between": "while the caller waits; a recorded number follows at once",
    "wait.and": "between two recorded numbers",
    "wait.minutes": "after a recorded number",
    "wait.less_than": "while the caller waits; a recorded number follows at once",
    "no_agent": "nobody can take the call",
    "after_hours": "instead of agents, outside of hours",
    "goodbye": "the last words of a call",
    "voicemail": "left on an answering machine; anyone may hear it",
    "outbound.abandoned": "a person whom we called, when no agent is free at once",
}
_WHERE_BY_FAMILY: Final = {
    "menu": "menu {rest!r}",
    "answer": "answer {rest!r}, chosen in a menu",
    "data_type": "to a caller whose {rest!r} data was involved",
    "affected": "when a caller asks whether they are affected",
    "callback": "when a caller leaves a number to be called back",
    "emergency": "when our service is down and the telephone system speaks alone",
    "outbound": "a person whom we called",
    "language": "the first words of a call",
    "queue": "while the caller waits for an agent",
    "wait": "while the caller waits for an agent",
}


def where_heard(name: str) -> str:
    """Where in a call a text is heard, for one who reads it aloud without knowing the system."""
    if name in _WHERE:
        return _WHERE[name]
    family, _, rest = name.partition(".")
    pattern = _WHERE_BY_FAMILY.get(family)
    return pattern.format(rest=rest.replace("_", " ")) if pattern else "on the hotline"


def reading_seconds(text: str) -> int:
    """About how long a calm reader takes, at least one second."""
    return max(1, round(len(text) / READING_SPEED))


def recording_script(plan: Plan, layout: Layout = "markdown") -> str:
    """The script of every text of a plan."""
    return script_of(plan.incident, spoken_texts(plan), layout)


def script_of(incident: str, texts: Iterable[Text], layout: Layout = "markdown") -> str:
    """The script of any texts, language by language."""
    by_language: dict[str, list[Text]] = {}
    for text in texts:
        by_language.setdefault(text.language, []).append(text)
    write = {"markdown": _markdown, "html": _html, "text": _plain}[layout]
    return write(incident, by_language)


def target_file(incident: str, text: Text) -> str:
    """Where the recording goes, below the home."""
    return f"studio/{incident}/{text.language}/{text.name}.wav"


_INTRODUCTION: Final = (
    "Read calmly and warmly; leave no words out and add none. One WAV file a text, mono, "
    "48 kHz, 24 bit, with half a second of silence before and after. Do not level or compress."
)


def _title(incident: str, language: str, texts: list[Text]) -> str:
    minutes = sum(reading_seconds(text.text) for text in texts) / 60
    return f"Recording script: {incident}, {language} ({len(texts)} texts, {minutes:.0f} min)"


def _facts(incident: str, text: Text) -> tuple[str, str, str]:
    return (
        f"Heard: {where_heard(text.name)}",
        f"File: {target_file(incident, text)}",
        f"About {reading_seconds(text.text)} s",
    )


def _markdown(incident: str, by_language: dict[str, list[Text]]) -> str:
    lines: list[str] = []
    for language, texts in by_language.items():
        lines += [f"# {_title(incident, language, texts)}", "", _INTRODUCTION, ""]
        for text in texts:
            heard, file, length = _facts(incident, text)
            path = file.removeprefix("File: ")
            lines += [f"## {text.name}", "", f"- {heard}", f"- File: `{path}`", f"- {length}", ""]
            lines += [f"> {text.text}", ""]
    return "\n".join(lines)


def _plain(incident: str, by_language: dict[str, list[Text]]) -> str:
    lines: list[str] = []
    for language, texts in by_language.items():
        lines += [_title(incident, language, texts), "", _INTRODUCTION, ""]
        for text in texts:
            lines += [text.name, *(f"  {fact}" for fact in _facts(incident, text)), ""]
            lines += [text.text, "", "-" * 72, ""]
    return "\n".join(lines)


def _html(incident: str, by_language: dict[str, list[Text]]) -> str:
    parts = ['<!doctype html><html><head><meta charset="utf-8">']
    parts.append(f"<title>Recording script: {html.escape(incident)}</title></head><body>")
    for language, texts in by_language.items():
        title = html.escape(_title(incident, language, texts))
        parts.append(f'<section lang="{html.escape(language)}"><h1>{title}</h1>')
        parts.append(f'<p lang="en">{html.escape(_INTRODUCTION)}</p>')
        for text in texts:
            parts.append(f"<h2>{html.escape(text.name)}</h2>")
            facts = "<br>".join(html.escape(fact) for fact in _facts(incident, text))
            parts.append(f'<p lang="en">{facts}</p>')
            parts.append(f"<blockquote>{html.escape(text.text)}</blockquote>")
        parts.append("</section>")
    parts.append("</body></html>\n")
    return "\n".join(parts)

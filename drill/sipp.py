"""Callers made by SIPp: many calls at once with exact timing, for benches and acceptance tests.

Keys are sent as RFC 4733 events. SIPp writes them through a raw socket, so this needs root or
CAP_NET_RAW; it always sends them as payload type 96, which the offer therefore names.
"""

from __future__ import annotations

import asyncio
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

from pbx.runtime.tree import Tree

_INVITE: Final = """\
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: "SIPp" <sip:+1212555{line}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:sipp@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 96
a=rtpmap:0 PCMU/8000
a=rtpmap:96 telephone-event/8000
a=fmtp:96 0-15
"""
_IN_DIALOG: Final = """\
{method} [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[routes]
From: "SIPp" <sip:+1212555{line}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {cseq} {method}
Max-Forwards: 70
Content-Length: 0
"""
_RESPONSE: Final = """\
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:sipp@[local_ip]:[local_port]>
Content-Length: 0
"""


@dataclass(frozen=True, slots=True)
class Press:
    """Wait ``after`` milliseconds, then press ``key``."""

    after: int
    key: str


@dataclass(frozen=True, slots=True)
class SippResult:
    """SIPp's own counts. ``failed`` holds every call that did not run to its end."""

    successful: int
    failed: int
    seconds: float
    exit_code: int


def scenario(presses: list[Press], stay: int, *, hang_up: bool = True, line: str = "0142") -> str:
    """A scenario as XML: call, press keys, stay ``stay`` ms, hang up (or wait to be hung up)."""
    invite = _INVITE.format(line=line)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<scenario name="caller">',
        _send(invite, start_rtd=True),
        '<recv response="100" optional="true"/>',
        '<recv response="180" optional="true"/>',
        '<recv response="183" optional="true"/>',
        '<recv response="200" rrs="true" rtd="1"/>',
        _send(_IN_DIALOG.format(method="ACK", cseq=1, line=line)),
    ]
    for press in presses:
        parts.append(f'<pause milliseconds="{press.after}"/>')
        parts.append(f"<nop><action><exec play_dtmf={quoteattr(press.key)}/></action></nop>")
    if hang_up:
        parts.append(f'<pause milliseconds="{stay}"/>')
        parts.append(_send(_IN_DIALOG.format(method="BYE", cseq=2, line=line), retrans=True))
        parts.append('<recv response="200"/>')
    else:
        parts.append(f'<recv request="BYE" timeout="{stay}"/>')
        parts.append(_send(_RESPONSE))
    parts.append("</scenario>")
    return "\n".join(parts)


def _send(message: str, *, start_rtd: bool = False, retrans: bool = False) -> str:
    attributes = ' retrans="500"' if start_rtd or retrans else ""
    if start_rtd:
        attributes += ' start_rtd="1"'
    return f"<send{attributes}><![CDATA[\n\n{message}\n]]></send>"


async def run_sipp(
    tree: Tree,
    folder: Path,
    xml: str,
    *,
    target: str,
    source: str,
    service: str,
    calls: int,
    rate: float,
    timeout: float,
    port: int = 5060,
    media_port: int = 20000,
) -> SippResult:
    """Run SIPp from address ``source`` against ``target`` (``host:port``).

    ``rate``: calls a second; ``timeout``: seconds until SIPp is ended. Raises TimeoutError.
    """
    file, stats = await asyncio.to_thread(_prepare, folder, xml)
    argv = tree.command(
        "sipp",
        target,
        "-sf",
        str(file),
        "-s",
        service,
        "-i",
        source,
        "-p",
        str(port),
        "-mi",
        source,
        "-mp",
        str(media_port),
        "-m",
        str(calls),
        "-r",
        f"{rate:g}",
        "-l",
        "5000",
        "-trace_stat",
        "-stf",
        str(stats),
        "-fd",
        "1",
        "-nostdin",
        "-timeout",
        str(int(timeout)),
        "-recv_timeout",
        "60000",
        "-trace_err",
        "-error_file",
        str(folder / "errors.log"),
    )
    loop = asyncio.get_running_loop()
    begun = loop.time()
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout + 10):
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    successful, failed = _counts(stats)
    return SippResult(successful, failed, loop.time() - begun, code)


def _prepare(folder: Path, xml: str) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scenario.xml"
    file.write_text(xml, encoding="utf-8")
    return file, folder / "stats.csv"


def _counts(stats: Path) -> tuple[int, int]:
    with stats.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter=";"))
    last = rows[-1]
    return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])

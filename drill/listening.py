"""What callers hear: sound or silence, measured on the wire where the callers' telephones are.

Every eighth RTP packet that the PBX sends to a simulated caller is looked at (a filter in the
kernel passes on no others, so that hundreds of calls cost next to nothing). A moment of 20 ms is
sound when a few of its samples are louder than a whisper. A gap is a time without any sound:
packets of silence and no packets at all are the same to a caller.

Needs root or CAP_NET_RAW. G.711 only, both laws: the simulated network offers nothing else.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Final

SAMPLED: Final = 8
"""One packet in so many: with 20 ms a packet, gaps are known to 160 ms."""
LOUD: Final = 300
"""Of 32,768: what a sample has at least, in a moment of sound (-41 dB of full scale)."""
LOUD_SAMPLES: Final = 8
"""So many loud ones make a packet sound."""

PCMU: Final = 0
PCMA: Final = 8
_IP_UDP_RTP: Final = 8 + 12
_BUFFER: Final = 8 * 2**20
_TIMESTAMP: Final = struct.Struct("@qq")
_SO_ATTACH_FILTER: Final = 26
_SO_TIMESTAMPNS: Final = 35
_SO_RXQ_OVFL: Final = 40


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without sound: when it began (Unix seconds) and its length in seconds."""

    began: float
    seconds: float


class Ears:
    """The silences on each line; pure book-keeping. A line is named by the port of its sound."""

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._last: dict[int, float] = {}
        self._gaps: dict[int, list[Gap]] = {}

    def begin(self, port: int, at: float) -> None:
        """A line was answered: from now on silence counts."""
        self._last[port] = at
        self._gaps[port] = []

    def sound(self, port: int, at: float) -> None:
        """Something was heard on a line (lines that are not listened to are passed over)."""
        last = self._last.get(port)
        if last is not None and at > last:
            self._note(port, last, at)
            self._last[port] = at

    def quiet(self, port: int, at: float) -> float:
        """For how many seconds nothing has been heard on a line; 0 where nobody listens."""
        return max(0.0, at - self._last.get(port, at))

    def end(self, port: int, at: float) -> list[Gap]:
        """The line is over: its gaps, in order."""
        last = self._last.pop(port, None)
        if last is None:
            return []
        self._note(port, last, at)
        return self._gaps.pop(port)

    def _note(self, port: int, last: float, at: float) -> None:
        if at - last > self._shortest:
            self._gaps[port].append(Gap(last, at - last))


def _ulaw(code: int) -> int:
    inverted = ~code & 0xFF
    return ((((inverted & 0x0F) << 3) + 0x84) << ((inverted >> 4) & 7)) - 0x84


def _alaw(code: int) -> int:
    turned = code ^ 0x55
    exponent, mantissa = (turned >> 4) & 7, ((turned & 0x0F) << 4) + 8
    return mantissa if exponent == 0 else (mantissa + 0x100) << (exponent - 1)


_LOUD_TABLES: Final = {
    kind: bytes(magnitude(code) > LOUD for code in range(256))
    for kind, magnitude in ((PCMU, _ulaw), (PCMA, _alaw))
}
"""For each byte of G.711: 1 where the sample is loud."""


def is_sound(kind: int, samples: bytes) -> bool:
    """Whether a packet of this payload type can be heard."""
    return samples.translate(_LOUD_TABLES[kind]).count(1) >= LOUD_SAMPLES


class NotPermitted(Exception):
    """The kernel does not let this process listen."""


class Listener:
    """Listens in a thread of its own; a context manager. ``lost``: packets that the kernel threw
    away because we were too slow (a gap could then be ours).

    Raises NotPermitted on entering, without root or CAP_NET_RAW.
    """

    def __init__(
        self, ears: Ears, lock: threading.Lock, *, here: str, pbx: str, ports: tuple[int, int]
    ) -> None:
        self._ears = ears
        self._lock = lock
        self._here = here
        self._pbx = pbx
        self._ports = ports
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.packets = 0
        self.lost = 0

    def __enter__(self) -> Listener:
        try:
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        except PermissionError as error:
            raise NotPermitted from error
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        raw.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        raw.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        program = _filter(self._pbx, *self._ports)
        held = ctypes.create_string_buffer(program)
        raw.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("@HP", len(program) // 8, ctypes.addressof(held)),
        )
        raw.bind((self._here, 0))
        raw.settimeout(0.25)
        self._socket = raw
        self._thread = threading.Thread(target=self._listen, name="drill:ears", args=(raw,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._socket is not None:
            self._socket.close()

    @property
    def alive(self) -> bool:
        """False when the thread has failed: what it would have heard is not known."""
        return self._thread is not None and self._thread.is_alive()

    def _listen(self, raw: socket.socket) -> None:
        while not self._stop.is_set():
            try:
                packet, extra, _flags, _from = raw.recvmsg(2048, 256)
            except TimeoutError:
                continue
            self.packets += 1
            at = 0.0
            for level, kind, data in extra:
                if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = _TIMESTAMP.unpack(data[: _TIMESTAMP.size])
                    at = seconds + nanoseconds / 1e9
                elif level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
                    self.lost = int.from_bytes(data[:4], "little")
            start = (packet[0] & 0x0F) * 4
            if is_sound(packet[start + 9] & 0x7F, packet[start + _IP_UDP_RTP :]):
                port = int.from_bytes(packet[start + 2 : start + 4], "big")
                with self._lock:
                    self._ears.sound(port, at)


def _filter(pbx: str, first: int, last: int) -> bytes:
    """A classic BPF program over an IP packet with UDP: RTP from the PBX to these ports, G.711,
    every `SAMPLED`-th sequence number."""
    source = int.from_bytes(socket.inet_aton(pbx), "big")
    steps = [
        (0x20, 0, 0, 12),  # a = source address
        (0x15, 0, 12, source),  # the PBX's, else refuse
        (0xB1, 0, 0, 0),  # x = length of the IP header
        (0x48, 0, 0, 2),  # a = UDP destination port
        (0x35, 0, 9, first),  # at least the first port, else refuse
        (0x25, 8, 0, last),  # above the last: refuse
        (0x50, 0, 0, 9),  # a = RTP marker and payload type
        (0x54, 0, 0, 0x7F),
        (0x15, 1, 0, PCMU),
        (0x15, 0, 4, PCMA),  # neither: refuse
        (0x48, 0, 0, 10),  # a = sequence number
        (0x54, 0, 0, SAMPLED - 1),
        (0x15, 0, 1, 0),  # one in so many, else refuse
        (0x06, 0, 0, 0x40000),  # take the packet
        (0x06, 0, 0, 0),  # refuse
    ]
    return b"".join(struct.pack("@HBBI", *step) for step in steps)

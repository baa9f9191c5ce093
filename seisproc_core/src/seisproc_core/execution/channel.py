"""What executors and the processes they start talk in: JSON messages over a stream socket, each behind its length in
four bytes; file descriptors may ride along."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

_LENGTH = struct.Struct("!I")
_MOST_FDS = 32

Message = dict[str, Any]


class Channel:
    """One end of a conversation. Any thread may send; one receives.

    Attributes
    ----------
    fds
        Descriptors received and not yet taken, in the order in which they were sent. Never inherited by a program
        that this process starts.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.fds: deque[int] = deque()
        self._buffer = bytearray()
        self._sending = threading.Lock()

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send all of it; `OSError` when the other end is gone."""
        body = json.dumps(message).encode()
        data = _LENGTH.pack(len(body)) + body
        with self._sending:
            sent = socket.send_fds(self.socket, [data], fds) if fds else 0
            self.socket.sendall(data[sent:])

    def tell(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send; where the other end is gone nothing happens: whoever receives learns it."""
        with contextlib.suppress(OSError):
            self.send(message, fds)

    def waits(self, timeout_s: float | None) -> bool:
        """Whether something can be received, an end of the conversation too, within so many seconds."""
        poll = select.poll()  # `select.select` knows the first 1,024 descriptors of a program only
        poll.register(self, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else 1000 * timeout_s))

    def receive(self) -> list[Message]:
        """Wait until something arrives and return the messages that are now whole, perhaps none; `EOFError` at the end.

        A torn last message, of a process that died while it sent, is dropped.
        """
        try:
            data, fds, _, _ = socket.recv_fds(self.socket, 1 << 16, _MOST_FDS)
        except ConnectionError:  # reset: the other end died with something of ours unread
            data, fds = b"", []
        for fd in fds:
            os.set_inheritable(fd, False)
            self.fds.append(fd)
        if not data:
            raise EOFError
        self._buffer += data
        return list(iter(self._next, None))

    def _next(self) -> Message | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        message: Message = json.loads(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return message

    def close(self) -> None:
        self.socket.close()
        while self.fds:
            os.close(self.fds.popleft())

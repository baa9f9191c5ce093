"""JSON messages over a stream socket, one a line."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any

Message = dict[str, Any]


class Channel:
    """One end of a conversation. Any thread may send; one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._buffer = b""
        self._sending = threading.Lock()

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, message: Message) -> None:
        """Send all of it. Where the other end is gone nothing happens: whoever receives learns it."""
        data = json.dumps(message).encode() + b"\n"
        with self._sending, contextlib.suppress(OSError):
            self.socket.sendall(data)

    def receive(self) -> list[Message]:
        """Wait until something arrives and return the messages that are now whole, perhaps none; `EOFError` at the end.

        A torn last message, of a process that died while it sent, is dropped.
        """
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self.socket.close()

"""Messages arrive whole and in order, however the stream is cut."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.execution.channel import Channel

MESSAGES = st.lists(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers())), min_size=1)


@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 50), min_size=1))
def test_any_messages_cut_anywhere_arrive_in_order(messages: list[dict[str, object]], cuts: list[int]) -> None:
    ours, theirs = socket.socketpair()
    recorder, tap = socket.socketpair()
    with ours, theirs, recorder, tap:
        sender, receiver = Channel(recorder), Channel(theirs)
        got = []
        for message in messages:
            sender.send(message)
            data = tap.recv(1 << 20)
            while data:
                cut = cuts[len(data) % len(cuts)]
                ours.sendall(data[:cut])
                data = data[cut:]
                got += receiver.receive()
        assert got == messages


def test_descriptors_keep_the_order_of_their_messages() -> None:
    left, right = socket.socketpair()
    sender, receiver = Channel(left), Channel(right)
    pipes = [os.pipe() for _ in range(3)]
    for number, (_, write) in enumerate(pipes):
        sender.send({"number": number}, [write])
    got = []
    while len(got) < 3:
        got += receiver.receive()
    for number, (read, write) in enumerate(pipes):
        fd = receiver.fds.popleft()
        assert not os.get_inheritable(fd)
        os.write(fd, bytes([number]))
        assert os.read(read, 10) == bytes([number])
        for end in (fd, read, write):
            os.close(end)
    sender.close()
    with pytest.raises(EOFError):
        receiver.receive()
    receiver.close()


def test_a_torn_message_is_dropped() -> None:
    left, right = socket.socketpair()
    left.sendall(b'\0\0\0\x09{"a"')
    left.close()
    receiver = Channel(right)
    assert receiver.receive() == []
    with pytest.raises(EOFError):
        receiver.receive()
    receiver.close()


def test_it_waits_whatever_its_number() -> None:
    """A program that embeds the engine may have thousands of files open."""
    ours, theirs = socket.socketpair()
    try:
        high = fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, 1500)
    except OSError:
        pytest.skip("this system gives a process fewer than 1,500 descriptors")
    here, there = Channel(socket.socket(fileno=high)), Channel(theirs)
    with ours, contextlib.closing(here):
        assert not here.waits(0)
        there.send({"hello": 1})
        assert here.waits(5) and here.receive() == [{"hello": 1}]
        there.close()
        assert here.waits(None)
        with pytest.raises(EOFError):
            here.receive()

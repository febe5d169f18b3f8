from __future__ import annotations

import socket
import sys

import pytest

from app.listening import turn_away_new_connections


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
def test_who_came_before_is_accepted_and_who_comes_after_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as late:
        with socket.create_connection(listener.getsockname()) as early:
            early.sendall(b"asked before anybody accepted")
            turn_away_new_connections(listener)
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(100) == b"asked before anybody accepted"
                accepted.sendall(b"answered")
                assert early.recv(100) == b"answered"
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.connect(listener.getsockname())


def test_what_is_no_tcp_socket_is_left_alone() -> None:
    left, right = socket.socketpair()
    with left, right:
        turn_away_new_connections(left)

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from app.http.sockets import MAX_OPEN_FILES, turn_away_new_connections


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


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    script = """
import resource
from app.http.sockets import allow_many_connections
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
allow_many_connections()
print(*resource.getrlimit(resource.RLIMIT_NOFILE), hard)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    soft, hard, before = map(int, done.stdout.split())
    assert hard == before
    assert soft == min(hard, MAX_OPEN_FILES) or hard == -1

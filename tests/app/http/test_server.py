"""The real server in a process of its own: slow senders, too many callers, the end of its life."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.app.server_process import ASK, BODY, ROOT, Running, read_answer, running

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def closed(connection: socket.socket) -> bytes:
    """What the server says until it closes."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            said += data
    return said


CHUNKED = ASK.partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n5\r\n"


@pytest.mark.parametrize("sent", [b"", b"POST /v1/emb", ASK[:-1], CHUNKED])
def test_a_request_that_is_never_whole_is_ended_and_others_are_unharmed(sent: bytes) -> None:
    with running(receipt_timeout_s=1, max_slots=2) as server, contextlib.ExitStack() as stack:
        half_open = [stack.enter_context(server.connect()) for _ in range(60)]
        for connection in half_open:
            connection.sendall(sent)
        assert [server.ask()[0] for _ in range(10)] == [200] * 10
        for connection in half_open:
            said = closed(connection)
            if sent:
                assert said.startswith(b"HTTP/1.1 408 ")
                assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["code"] == "receipt_timeout"
            else:
                assert said == b""  # nothing was asked, so nothing is answered
        assert server.ask()[0] == 200


def test_a_sender_that_trickles_is_ended_too() -> None:
    with running(receipt_timeout_s=1) as server, server.connect() as connection:
        connection.settimeout(0.05)
        said = b""
        for byte in ASK[:-1] * 100:
            try:
                connection.sendall(bytes([byte]))
                said = connection.recv(1000)
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert said.startswith(b"HTTP/1.1 408 ") or closed(connection) == b""
        assert server.ask()[0] == 200


def test_a_connection_serves_one_request_after_another_each_with_its_own_deadline() -> None:
    with running(receipt_timeout_s=3) as server, server.connect() as connection:
        for _ in range(4):
            time.sleep(1)
            connection.sendall(ASK)
            assert read_answer(connection)[0] == 200


def test_an_answer_that_takes_longer_than_the_receipt_deadline_is_given() -> None:
    with running(seconds=2, receipt_timeout_s=0.5) as server, server.connect() as connection:
        connection.sendall(ASK + HEALTH)  # the second waits in line behind the first
        assert read_answer(connection)[0] == 200
        assert read_answer(connection)[0] == 200


def test_what_is_no_http_and_heads_without_end_are_refused_in_the_envelope() -> None:
    with running() as server:
        status, headers, body = server.ask(b"no http at all\r\n\r\n")
        assert (status, json.loads(body)["error"]["code"]) == (400, "bad_request")
        assert headers["connection"] == "close"
        with server.connect() as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET / HTTP/1.1\r\n" + b"X-Padding: %b\r\n" % (b"x" * 1000) * 400)
            assert closed(connection)[:13] in (b"HTTP/1.1 431 ", b"")  # a reset may overtake the answer
        assert server.ask()[0] == 200


def test_a_large_body_is_refused_before_it_is_sent() -> None:
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n"
    head += b"Expect: 100-continue\r\n\r\n"
    with running() as server, server.connect() as connection:
        connection.sendall(head)
        status, headers, _ = read_answer(connection)
        assert (status, headers["connection"]) == (413, "close")
        assert closed(connection) == b""


def test_who_asks_whether_to_go_on_is_told_to() -> None:
    with running() as server, server.connect() as connection:
        connection.sendall(ASK.removesuffix(BODY).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert read_answer(connection)[0] == 100
        connection.sendall(BODY)
        assert read_answer(connection)[0] == 200


def test_a_caller_that_sends_on_after_its_refusal_can_read_it() -> None:
    # Python's http.client and many others send the whole body before they read.
    body = b"x" * 3_000_000
    with running(max_body_bytes=1_000_000) as server, server.connect() as connection:
        head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        assert read_answer(connection)[0] == 413
        connection.sendall(HEALTH)
        assert read_answer(connection)[0] == 200


def test_callers_that_leave_cost_no_work_and_leak_nothing() -> None:
    with running(seconds=0.2, max_slots=20) as server:
        before = server.metric("process_open_fds")
        for _ in range(25):
            callers = [server.connect() for _ in range(20)]
            for caller in callers:
                caller.sendall(ASK)
            for caller in callers:
                caller.close()
        while server.metric("candid_slots_taken") > 0 or server.metric("process_open_fds") > before:
            time.sleep(0.05)
        assert server.metric("candid_worked_total") < 250  # of 500
        assert server.ask()[0] == 200


def test_ten_times_the_load_is_answered_or_refused_and_nobody_is_left_waiting() -> None:
    outcomes: Counter[int] = Counter()

    def hammer(server: Running) -> None:
        with server.connect() as connection:
            for _ in range(25):
                connection.sendall(ASK)
                status, headers, _ = read_answer(connection)
                outcomes[status] += 1
                assert status == 200 or headers["retry-after"] == "1"

    with running(seconds=0.005, max_slots=4) as server:
        callers = [threading.Thread(target=hammer, args=(server,)) for _ in range(40)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert outcomes.keys() == {200, 503}
        assert outcomes.total() == 1000
        assert server.ask()[0] == 200


def test_sigterm_loses_no_accepted_request() -> None:
    lost: list[str] = []
    answered = Counter[str]()

    def keep_asking(server: Running, keep_alive: bool) -> None:
        while True:
            try:
                connection = server.connect()
            except OSError:
                return  # not accepted any more
            with connection:
                last = False
                while not last:
                    try:
                        connection.sendall(ASK)
                        status, headers, _ = read_answer(connection)
                    except OSError as error:
                        lost.append(f"{'kept' if keep_alive else 'fresh'}: {error}")
                        return
                    assert status == 200
                    answered["all"] += 1
                    last = headers.get("connection") == "close" or not keep_alive

    with running(seconds=0.002) as server:
        callers = [
            threading.Thread(target=keep_asking, args=(server, keep_alive))
            for keep_alive in (True, False) * 8
        ]
        for caller in callers:
            caller.start()
        while answered["all"] < 200:
            time.sleep(0.01)
        assert server.stop() == 0
        for caller in callers:
            caller.join()
    assert lost == []


def test_while_it_drains_it_says_so_and_finishes_what_it_has() -> None:
    with running(seconds=1.5) as server, server.connect() as working, server.connect() as asking:
        asking.sendall(HEALTH)
        assert read_answer(asking)[0] == 200
        working.sendall(ASK)
        asking.sendall(b"GET /readyz HT")  # begun, so it will be answered
        while server.metric("candid_slots_taken") == 0:
            time.sleep(0.01)
        server.process.terminate()
        time.sleep(0.1)
        asking.sendall(b"TP/1.1\r\nHost: localhost\r\n\r\n")
        status, headers, body = read_answer(asking)
        assert (status, headers["connection"]) == (503, "close")
        assert json.loads(body)["draining"] is True
        status, headers, _ = read_answer(working)
        assert (status, headers["connection"]) == (200, "close")
        assert server.process.wait(timeout=30) == 0


def test_what_outlives_the_shutdown_deadline_is_cut_off() -> None:
    with running(seconds=60, shutdown_timeout_s=1) as server, server.connect() as working:
        working.sendall(ASK)
        while server.metric("candid_slots_taken") == 0:
            time.sleep(0.01)
        assert server.stop() == 0
        assert not closed(working).startswith(b"HTTP/1.1 200")


def test_a_model_that_cannot_be_had_is_an_error_at_start_in_one_line(candid: Path) -> None:
    done = subprocess.run([candid, "serve", "--model", "./none"], capture_output=True, text=True)
    assert done.returncode == 1
    [line] = [json.loads(line) for line in done.stderr.splitlines() if "critical" in line]
    assert "none" in line["message"] and "traceback" not in line


def test_garbage_is_looked_for_again_once_all_is_loaded() -> None:
    script = (
        "import gc; from app import serve; from app.cli import main; "
        "serve.serve = lambda *_, **__: 0 if gc.isenabled() and gc.get_freeze_count() > 100_000 else 3; "
        "main.app(['serve', '--model', 'embedded'])"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True).returncode == 0


def test_a_lost_model_is_told_to_the_balancer_and_then_ends_the_process() -> None:
    ready = HEALTH.replace(b"/healthz", b"/readyz")
    with running(lost_after=2) as server:
        assert server.ask(ready)[0] == 200
        while server.ask(ready)[0] == 200:
            time.sleep(0.05)
        assert server.ask(ready)[0] == 503
        assert server.ask(HEALTH)[0] == 200
        assert server.process.wait(timeout=60) == 1, "not a clean end: whoever runs it must start it again"


def test_sigterm_ends_it_while_it_still_loads(candid: Path) -> None:
    command = [candid, "serve", "--model", "ViT-B-32/openai", "--port", "0"]
    with socket.create_server(("127.0.0.1", 0)) as silent, tempfile.TemporaryDirectory() as home:
        silent.settimeout(120)  # a child that dies early must not be waited for
        hub = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = os.environ | {"HF_ENDPOINT": hub, "HF_HOME": home}
        loading = subprocess.Popen(command, env=environment)
        connection, _ = silent.accept()  # it asks for the weights and gets no answer
        with connection:
            loading.terminate()
            assert loading.wait(timeout=60) == 0

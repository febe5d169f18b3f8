"""What an attacker sends over a raw socket: requests that fool parsers, and callers who do not read."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.server_process import ASK, BODY, Running, read_answer, running

HOST = b"Host: localhost\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
HEAD = b"POST /v1/embeddings HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
MIB = 1 << 20
PATIENCE_S = 60


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as started:
        yield started


def until(true: Callable[[], bool]) -> None:
    """Wait for what must happen, however busy the machine is."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def everything(connection: socket.socket) -> bytes:
    """What the server says until it closes."""
    said = bytearray()
    connection.settimeout(PATIENCE_S)
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(1 << 16):
            said += data
    return bytes(said)


def statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


def exchange(server: Running, *packets: bytes, end: bool = True) -> list[int]:
    """Statuses of all answers on one connection; the caller ends its sending after the last packet."""
    with server.connect() as connection:
        with contextlib.suppress(ConnectionError):
            for packet in packets:
                connection.sendall(packet)
                time.sleep(0.05 if len(packets) > 1 else 0)
            if end:
                connection.shutdown(socket.SHUT_WR)
        return statuses(everything(connection))


# Framing: where a request ends


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 18\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 18\r\n",
        b"Content-Length: 18\r\nContent-Length: 18\r\n",
        b"Content-Length: 18\r\nContent-Length: 19\r\n",
        b"Content-Length: 18, 18\r\n",
        b"Content-Length: +18\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x12\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Content-Length : 18\r\n",
        b"Content-Length:\r\n 18\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"Transfer-Encoding\x00: chunked\r\n",
        b"X: a\rContent-Length: 18\r\n",
    ],
)
def test_framing_that_two_programs_could_read_in_two_ways_is_refused(server: Running, fields: bytes) -> None:
    smuggled = b"0\r\n\r\n" + HEALTH
    assert exchange(server, HEAD + fields + b"\r\n" + smuggled) == [400]


@pytest.mark.parametrize(
    "chunk", [b"-1\r\n", b"0x5\r\n", b"5 \r\nabcde\r\n", b"5\nabcde\n", b"5\r\nabcdef\r\n"]
)
def test_broken_chunks_end_the_connection(server: Running, chunk: bytes) -> None:
    said = exchange(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n" + HEALTH)
    assert said == [400]


def test_what_is_whole_is_answered_before_a_broken_request_ends_the_connection(server: Running) -> None:
    assert exchange(server, ASK + HEALTH + b"no http\r\n\r\n" + HEALTH) == [200, 200]


@pytest.mark.parametrize(
    "second",
    [
        HEALTH.replace(HOST, b""),
        HEALTH.replace(b"localhost", b"evil.example"),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefghi",
        HEAD + b"Content-Length: 100\r\n\r\nabc",
        b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /half",
    ],
)
def test_what_is_wrong_with_one_request_is_not_told_as_anothers_answer(second: bytes) -> None:
    with running(seconds=0.3) as server:
        assert exchange(server, ASK + second) == [200]
        assert exchange(server, ASK + ASK + second) == [200, 200]


def test_a_burst_of_requests_on_one_connection_is_bounded(server: Running) -> None:
    before = server.metric("process_resident_memory_bytes")
    with server.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(HEALTH * 20_000)
        said = statuses(everything(connection))
    assert set(said) == {200}
    assert 1 <= len(said) <= 1000
    assert server.metric("process_resident_memory_bytes") - before < 30 * MIB


def test_requests_in_a_row_are_answered_in_order(server: Running) -> None:
    missing = HEALTH.replace(b"/healthz", b"/none")
    assert exchange(server, ASK + missing + HEALTH + ASK + missing) == [200, 404, 200, 200, 404]


# Trailers


def test_a_trailer_is_no_header() -> None:
    with running(api_keys=["a-good-key"]) as server:
        trailer = b"Authorization: Bearer a-good-key\r\n\r\n"
        assert exchange(server, CHUNKED + trailer) == [401]
        assert exchange(server, CHUNKED, trailer) == [401]
        assert exchange(server, CHUNKED.replace(b"\r\n\r\n", b"\r\n" + trailer, 1) + b"\r\n") == [200]


def test_some_trailers_are_thrown_away(server: Running) -> None:
    assert exchange(server, CHUNKED + b"a: b\r\n" * 20 + b"\r\n" + HEALTH) == [200, 200]


ENDLESS = {
    "trailers": (CHUNKED, b"a:b\r\n" * 13_000),
    "one trailer": (CHUNKED + b"a:", b"x" * (64 << 10)),
    "a trailer's name": (CHUNKED, b"x" * (64 << 10)),
    "a chunk's extension": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * (64 << 10)),
    "a chunk's size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * (64 << 10)),
    "headers": (HEAD, b"a:b\r\n" * 13_000),
    "one header": (HEAD + b"a:", b"x" * (64 << 10)),
    "a path": (b"GET /", b"x" * (64 << 10)),
    "a method": (b"", b"G" * (64 << 10)),
    "blank lines": (b"", b"\r\n" * (32 << 10)),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_never_ends_is_refused_and_kept_nowhere(server: Running, kind: str) -> None:
    start, more = ENDLESS[kind]
    before = server.metric("process_resident_memory_bytes")
    sent = 0
    with server.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(start)
            while sent < 60 * MIB:
                connection.sendall(more)
                sent += len(more)
        said = statuses(everything(connection))
    assert said in ([431], [400], [])  # a reset may overtake the answer
    assert sent < 60 * MIB, "it was read to its end"
    assert server.metric("process_resident_memory_bytes") - before < 30 * MIB


# Upgrade


UPGRADES = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    b"Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\nSec-WebSocket-Version: 13\r\n",
    b"Connection: upgrade\r\nConnection: keep-alive\r\nUpgrade: TLS/1.0\r\nUpgrade: h2c\r\n",
]


@pytest.mark.parametrize("fields", UPGRADES)
def test_an_upgrade_is_not_taken_up_and_the_request_is_answered(server: Running, fields: bytes) -> None:
    head, asked = b"\r\n" + fields, ASK.replace(b"\r\n", b"\r\n" + fields, 1)
    assert exchange(server, asked + asked + HEALTH) == [200, 200, 200]
    assert exchange(server, asked.removesuffix(BODY), BODY, HEALTH.replace(b"\r\n", head, 1)) == [200, 200]
    assert exchange(server, CHUNKED.replace(b"\r\n", head, 1) + b"\r\n" + HEALTH) == [200, 200]
    assert exchange(server, *(bytes([byte]) for byte in asked[-12:]), end=False) == [400]  # no head: no HTTP
    with server.connect() as connection:
        for byte in asked:
            connection.sendall(bytes([byte]))
        assert read_answer(connection)[0] == 200


@pytest.mark.parametrize("fields", UPGRADES)
def test_a_body_behind_an_upgrade_is_no_request(server: Running, fields: bytes) -> None:
    smuggled = b"GET /docs HTTP/1.1\r\n" + HOST + b"\r\n"
    head = HEAD + b"Content-Length: %d\r\n" % len(smuggled) + fields + b"\r\n"
    assert exchange(server, head, smuggled) == [400]  # it is no JSON
    assert exchange(server, head + smuggled) == [400]


def test_a_tunnel_is_refused_and_nothing_behind_it_is_read(server: Running) -> None:
    assert exchange(server, b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n" + HEALTH) == [400]
    assert exchange(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == [400]


JAVA = """
import java.net.URI;
import java.net.http.*;
public class Ask {
    public static void main(String[] args) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int i = 0; i < 3; i++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(args[0]))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\\"input\\": \\"a cat\\"}")).build();
            System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
        }
    }
}
"""


@pytest.mark.skipif(shutil.which("java") is None, reason="needs java")
def test_javas_own_client_is_answered(server: Running, tmp_path: Path) -> None:
    source = tmp_path / "Ask.java"
    source.write_text(JAVA)
    command = ["java", str(source), f"http://localhost:{server.port}/v1/embeddings"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["200"] * 3, done.stderr


# The end of a connection


@pytest.mark.parametrize("request_", [ASK, HEALTH, HEALTH.replace(b"HTTP/1.1", b"HTTP/1.0")])
def test_who_ends_its_sending_still_gets_its_answer(server: Running, request_: bytes) -> None:
    assert exchange(server, request_) == [200]


def test_who_ends_its_sending_waits_for_a_long_answer_too() -> None:
    with running(seconds=2.5) as server:
        said = exchange(server, ASK)
        assert said[-1] == 200
        assert set(said[:-1]) <= {100}  # it was asked whether it is still there


def test_half_a_request_and_the_end_are_not_waited_for(server: Running) -> None:
    for half in (b"", b"GET /hea", ASK[:-1], CHUNKED):
        assert exchange(server, half) == []


def test_a_second_interrupt_ends_the_process_and_tells_nobody_of_a_defect() -> None:
    with running(seconds=60) as server, server.connect() as working:
        working.sendall(ASK)
        until(lambda: server.metric("candid_slots_taken") == 1)
        server.process.send_signal(signal.SIGINT)
        time.sleep(1)
        server.process.send_signal(signal.SIGINT)
        assert everything(working) == b""
        assert server.process.wait(timeout=PATIENCE_S) == 0


# Whom it answers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"localhost", 200),
        (b"LocalHost:8000", 200),
        (b"127.0.0.1:80", 200),
        (b"[::1]:8000", 200),
        (b"candid.localhost", 200),
        (b"localhost.", 200),
        (b"evil.example", 421),
        (b"localhost.evil.example", 421),
        (b"127.0.0.1.evil.example", 421),
        (b"evillocalhost", 421),
        (b"", 421),
        (b"a b", 400),
        (b"localhost, evil.example", 400),
        (b"localhost@evil.example", 400),
        (b"localhost/", 400),
    ],
)
def test_on_a_loopback_address_it_answers_to_local_names_only(
    server: Running, host: bytes, status: int
) -> None:
    assert exchange(server, b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") == [status]


def test_a_request_has_one_host(server: Running) -> None:
    assert exchange(server, b"GET /healthz HTTP/1.1\r\n\r\n") == [400]
    assert exchange(server, b"GET /healthz HTTP/1.1\r\n" + HOST * 2 + b"\r\n") == [400]
    assert exchange(server, b"GET /healthz HTTP/1.1\r\n" + HOST + b"hOST: evil.example\r\n\r\n") == [400]
    assert exchange(server, b"GET http://evil.example/healthz HTTP/1.1\r\n" + HOST + b"\r\n") == [421]
    assert exchange(server, b"GET http://localhost/healthz HTTP/1.1\r\n" + HOST + b"\r\n") == [200]


def test_names_can_be_set_and_other_addresses_answer_to_any() -> None:
    def ask(server: Running, host: bytes) -> list[int]:
        return exchange(server, b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")

    with running(allowed_hosts=["candid.example", "*.inside.example"]) as server:
        assert ask(server, b"candid.example:8000") == ask(server, b"a.inside.example") == [200]
        assert ask(server, b"localhost") == ask(server, b"inside.example") == [421]
        assert ask(server, b"inside.example.evil") == [421]


def test_a_query_of_a_thousand_labels_and_its_limits(server: Running) -> None:
    labels = "&".join(
        f"labels=a%20label%20with%20quite%20a%20few%20characters%20in%20it%20{i}" for i in range(2000)
    )
    picture = HEAD.replace(b"/v1/embeddings", b"/v1/classify?" + labels.encode()).replace(
        b"application/json", b"image/png"
    )
    assert 1 << 16 < len(labels) < 256 << 10
    assert exchange(server, picture + b"Content-Length: 1\r\n\r\nx") == [200]
    path = b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    with server.connect() as connection:
        connection.sendall(path)
        status, _, body = read_answer(connection)
        assert (status, json.loads(body)["error"]["code"]) == (414, "uri_too_long")


def test_what_a_caller_says_of_itself_makes_no_long_line_in_the_log(server: Running) -> None:
    said = b"".join(
        name + b": " + b"1.2.3.4, " * 7000 + b"\r\n"
        for name in (b"X-Forwarded-For", b"X-Request-ID", b"User-Agent")
    )
    before = len(server.log)
    assert exchange(server, ASK.replace(b"\r\n", b"\r\n" + said, 1)) == [200]
    until(lambda: len(server.log) > before)
    assert max(map(len, server.log)) < 1000


# Heads that are never whole


def test_large_heads_are_counted_and_the_largest_gives_way() -> None:
    with (
        running(max_buffer_bytes=4 * MIB, max_body_bytes=MIB) as server,
        contextlib.ExitStack() as stack,
    ):
        before = server.metric("process_resident_memory_bytes")
        senders = [stack.enter_context(server.connect()) for _ in range(60)]
        for sender in senders:
            sender.sendall(HEAD + b"a:" + b"x" * 200_000)
        until(lambda: server.metric("candid_buffer_bytes") > 3 * MIB)
        assert server.metric("candid_buffer_bytes") <= 4 * MIB
        assert server.metric("process_resident_memory_bytes") - before < 30 * MIB
        assert server.ask()[0] == 200
        for sender in senders:
            sender.settimeout(0.5)
        told = [ended(sender) for sender in senders]
        assert told.count(None) < 25, "what does not fit is refused"
        assert set(told) <= {None, 503}
        stack.close()
        until(lambda: server.metric("candid_buffer_bytes") == 0)


def ended(connection: socket.socket) -> int | None:
    """The status with which the server has ended it; None while it waits."""
    try:
        return (statuses(connection.recv(1 << 16)) or [503])[0]  # a reset may overtake the answer
    except TimeoutError:
        return None
    except ConnectionError:
        return 503


def test_a_large_head_counts_until_its_request_is_answered() -> None:
    with running() as server, contextlib.ExitStack() as stack:
        asked = HEAD + b"a:" + b"x" * 200_000 + b"\r\nContent-Length: 10\r\n\r\n{"
        senders = [stack.enter_context(server.connect()) for _ in range(10)]
        for sender in senders:
            sender.sendall(asked)
        until(lambda: server.metric("candid_buffer_bytes") > 10 * 200_000)
        for sender in senders:
            sender.sendall(b'"input":1')
            assert read_answer(sender)[0] in (400, 422)
        until(lambda: server.metric("candid_buffer_bytes") == 0)


def test_connections_that_send_nothing_cost_little() -> None:
    with running(receipt_timeout_s=60) as server, contextlib.ExitStack() as stack:
        before = server.metric("process_resident_memory_bytes")
        for _ in range(500):
            stack.enter_context(server.connect())
        until(lambda: server.metric("process_open_fds") > 500)
        assert server.metric("process_resident_memory_bytes") - before < 500 * 40_000
        assert server.ask()[0] == 200


# Answers that nobody reads


def question(vectors: int = 24, labels: int = 10_000, accept: bytes = b"*/*") -> bytes:
    """A small request with a large answer: 0.65 MB a vector."""
    asked = {"embeddings": [[1, 0, 0, 0]] * vectors, "labels": [f"label {i}" for i in range(labels)]}
    body = json.dumps(asked).encode()
    return (
        b"POST /v1/classify HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nAccept: " + accept
    ) + b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def quiet(server: Running) -> socket.socket:
    """A connection that takes in little by itself."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    return connection


def test_who_never_reads_is_ended_and_what_it_held_is_given_back() -> None:
    with running(send_timeout_s=1, decode_threads=1) as server, contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(quiet(server)).sendall(question())
        until(lambda: server.metric("candid_buffer_bytes") > 8 * MIB)
        until(lambda: server.metric("candid_slots_taken") == 0 and server.metric("candid_buffer_bytes") == 0)
        assert server.metric("process_open_fds") < 40
        assert server.ask()[0] == 200


def test_large_answers_have_no_room_while_others_are_not_taken_and_small_ones_have() -> None:
    with running(send_timeout_s=30, max_buffer_bytes=40 * MIB, max_body_bytes=MIB) as server:
        with quiet(server) as deaf:
            deaf.sendall(question())
            until(lambda: server.metric("candid_buffer_bytes") > 8 * MIB)
            status, _, body = server.ask(question())
            assert status == 503 and "max_buffer_bytes" in json.loads(body)["error"]["message"]
            assert server.ask()[0] == 200
        until(lambda: server.metric("candid_buffer_bytes") == 0)
        assert server.ask(question())[0] == 200


def texts(count: int) -> bytes:
    """Its answer takes 112 bytes a text."""
    body = json.dumps({"input": ["a cat"] * count}).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def test_an_answer_has_its_room_before_the_work_begins() -> None:
    with (
        running(seconds=5, max_buffer_bytes=MIB, max_body_bytes=MIB) as server,
        server.connect() as first,
    ):
        first.sendall(texts(7000))
        until(lambda: server.metric("candid_buffer_bytes") > MIB // 2)
        status, headers, body = server.ask(texts(7000))
        assert (status, headers["retry-after"]) == (503, "1")
        assert "max_buffer_bytes" in json.loads(body)["error"]["message"]
        assert server.metric("candid_slots_taken") == 1, "the first is still worked on"
        assert read_answer(first)[0] == 200
        until(lambda: server.metric("candid_buffer_bytes") == 0)
        assert server.ask(texts(7000))[0] == 200


def test_an_answer_that_will_never_have_room_is_the_callers_error() -> None:
    with running(max_buffer_bytes=MIB, max_body_bytes=MIB) as server:
        for asked in (texts(9999), question(vectors=2)):
            status, _, body = server.ask(asked)
            error = json.loads(body)["error"]
            assert (status, error["code"]) == (422, "invalid_request")
            assert f"at most {MIB} " in error["message"] and "max_buffer_bytes" in error["message"]
        assert exchange(server, question(vectors=2, accept=b"application/x-ndjson")) == [200], "line by line"
        assert server.metric("candid_buffer_bytes") == 0


def test_the_shutdown_does_not_wait_for_who_never_reads() -> None:
    with running(send_timeout_s=1000, shutdown_timeout_s=1000) as server, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(quiet(server)).sendall(question())
        until(lambda: server.metric("candid_buffer_bytes") > 8 * MIB)
        assert server.stop() == 0


def test_readers_of_one_byte_a_second_lose_their_slot_and_their_connection() -> None:
    with (
        running(send_timeout_s=1, request_timeout_s=1000, max_slots=2) as server,
        contextlib.ExitStack() as stack,
    ):
        readers = [stack.enter_context(quiet(server)) for _ in range(2)]
        for reader in readers:
            reader.sendall(question(accept=b"application/x-ndjson"))
        until(lambda: server.metric("candid_buffer_bytes") > 0)

        def free() -> bool:
            for reader in readers:
                with contextlib.suppress(ConnectionError):
                    reader.recv(1)
            return server.metric("candid_slots_taken") == 0

        until(free)
        assert server.ask()[0] == 200
        assert all(not said.endswith(b"0\r\n\r\n") for said in map(everything, readers))


def test_who_reads_slowly_but_steadily_gets_everything() -> None:
    with running(send_timeout_s=1) as server, quiet(server) as connection:
        connection.sendall(question(vectors=8))
        connection.settimeout(PATIENCE_S)
        said = bytearray()
        while data := connection.recv(40_000):
            said += data
            time.sleep(0.01)
            if said.endswith(b"}"):
                length = re.search(rb"content-length: (\d+)", said)
                assert length is not None
                if len(said) - said.index(b"\r\n\r\n") - 4 == int(length[1]):
                    break
        assert statuses(bytes(said)) == [200]


# Bodies that are never whole


@pytest.mark.parametrize(("count", "size"), [(9, 60 * MIB), (90, 6 * MIB)])
def test_half_sent_uploads_keep_nobody_out(count: int, size: int) -> None:
    with running() as server, contextlib.ExitStack() as stack:
        head = b"POST /v1/classify HTTP/1.1\r\n" + HOST + b"Content-Type: image/jpeg\r\n"
        head += b"Content-Length: %d\r\n\r\n" % (63 * MIB)
        block = bytes(MIB)
        for _ in range(count):
            sender = stack.enter_context(server.connect())
            with contextlib.suppress(ConnectionError):
                sender.sendall(head)
                for _ in range(size // MIB):
                    sender.sendall(block)
        until(lambda: server.metric("candid_buffer_bytes") > 400 * MIB)
        body = BODY + b" " * (4 * MIB)
        large = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
        assert {server.ask(request)[0] for request in [ASK, large] * 10} == {200}
        assert server.metric("candid_buffer_bytes") <= 512 * MIB

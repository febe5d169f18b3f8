"""What a caller may do to the protocol itself, byte by byte, against a real server."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.server_process import BODY, Running, read_answer, running

JSON = b"Content-Type: application/json\r\n"
POST = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n" + JSON
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = b"%x\r\n%s\r\n" % (len(BODY), BODY)
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
FRAMED = {"length": (LENGTH, BODY), "chunks": (b"Transfer-Encoding: chunked\r\n\r\n", WHOLE + b"0\r\n\r\n")}


def resident_mb(server: Running) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("upgrade", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize("framing", FRAMED)
@pytest.mark.parametrize("apart", [False, True], ids=["one packet", "body in another"])
def test_an_upgrade_is_ignored_and_the_request_answered(upgrade: bytes, framing: str, apart: bool) -> None:
    end, body = FRAMED[framing]
    with running() as server, server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(POST + upgrade + end + (b"" if apart else body))
        if apart:
            time.sleep(0.1)
            connection.sendall(body)
        status, _, answer = read_answer(connection)
        assert status == 200 and json.loads(answer)["data"]
        connection.sendall(HEALTH)  # nothing of the body was taken for a request
        assert read_answer(connection)[0] == 200


def test_a_request_hidden_behind_an_upgrade_is_a_body() -> None:
    hidden = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running() as server, server.connect() as connection:
        connection.sendall(POST + H2C + b"Content-Length: %d\r\n\r\n" % len(hidden))
        time.sleep(0.1)
        connection.sendall(hidden + HEALTH)
        assert read_answer(connection)[0] == 400  # no JSON
        assert read_answer(connection)[0] == 200  # /healthz, and nothing between
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_an_upgrade_without_a_body_and_a_connect() -> None:
    with running() as server:
        assert server.ask(HEALTH.replace(b"\r\n\r\n", b"\r\n" + WEBSOCKET + b"\r\n"))[0] == 200
        assert server.ask(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")[0] == 405
        assert server.ask(HEALTH)[0] == 200


@pytest.mark.skipif(shutil.which("java") is None, reason="needs java, whose client tries h2c by Upgrade")
def test_javas_client_gets_its_answer(tmp_path: Path) -> None:
    (tmp_path / "Ask.java").write_text("""
import java.net.URI;
import java.net.http.*;
public class Ask {
  public static void main(String[] a) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(a[0])).header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString("{\\"input\\": \\"a cat\\"}")).build();
    var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    System.out.println(answer.statusCode());
  }
}""")
    with running() as server:
        url = f"http://127.0.0.1:{server.port}/v1/embeddings"
        done = subprocess.run(
            ["java", str(tmp_path / "Ask.java"), url], capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == "200"


def many_trailers(send: Callable[[bytes], None]) -> None:
    for _ in range(200):
        send(b"a:b\r\n" * 20_000)


def one_long_trailer(send: Callable[[bytes], None]) -> None:
    send(b"a:")
    for _ in range(200):
        send(b"b" * 100_000)


def long_extension(send: Callable[[bytes], None]) -> None:
    send(b"1;")
    for _ in range(200):
        send(b"x" * 100_000)


@pytest.mark.parametrize("flood", [many_trailers, one_long_trailer, long_extension])
def test_what_comes_beside_a_body_is_bounded(flood: Callable[[Callable[[bytes], None]], None]) -> None:
    with running() as server, server.connect() as connection:
        before = resident_mb(server)
        connection.sendall(CHUNKED + WHOLE + (b"" if flood is long_extension else b"0\r\n"))
        try:
            flood(connection.sendall)
        except OSError:
            pass  # it has hung up
        else:
            pytest.fail("it went on reading")
        assert server.ask(HEALTH)[0] == 200
        assert resident_mb(server) - before < 30


def test_a_trailer_is_no_header() -> None:
    key = "a-key-of-this-service"
    body = WHOLE + b"0\r\nAuthorization: Bearer " + key.encode() + b"\r\n\r\n"
    with running(api_keys=[key]) as server:
        assert server.ask(CHUNKED + body)[0] == 401
        with_key = CHUNKED.replace(JSON, JSON + b"Authorization: Bearer " + key.encode() + b"\r\n")
        assert server.ask(with_key + WHOLE + b"0\r\nx-checksum: 1\r\n\r\n")[0] == 200


@pytest.mark.parametrize("head", [b"", b"Host: a\r\nHost: b\r\n"], ids=["none", "two"])
def test_a_request_has_one_host(head: bytes) -> None:
    with running() as server:
        assert server.ask(b"GET /healthz HTTP/1.1\r\n" + head + b"\r\n")[0] == 400
        assert server.ask(HEALTH)[0] == 200


def test_one_byte_chunks_are_a_body_like_any() -> None:
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    with running() as server:
        assert server.ask(CHUNKED + body)[0] == 200


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100  # 13 MB: more than the kernel holds
    with running(write_timeout_s=0.5, keep_alive_timeout_s=60) as server:
        before = server.metric("process_open_fds")
        deaf = [socket.socket() for _ in range(4)]
        try:
            for connection in deaf:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(("127.0.0.1", server.port))
                connection.sendall(ask)
            end = time.monotonic() + 60
            while server.metric("process_open_fds") > before:
                assert time.monotonic() < end, "the connections stay"
                time.sleep(0.1)
            assert server.ask(HEALTH)[0] == 200
            assert server.stop() == 0
        finally:
            for connection in deaf:
                connection.close()


def test_a_slow_reader_who_reads_gets_it_all() -> None:
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running(write_timeout_s=0.5) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(ask * 60)
        whole = len(server.ask(ask)[2])
        read = 0
        while read < 60 * whole:
            read += len(connection.recv(1 << 20))
            time.sleep(0.01)

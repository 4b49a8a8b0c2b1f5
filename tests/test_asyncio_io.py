"""Sockets, TLS, subprocesses, pipes, file descriptors and signals do the same on plain asyncio and on every loop of ours, in every mode."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import ssl
import sys
import tempfile
from pathlib import Path

import pytest

CERTIFICATE = Path(__file__).with_name(
    "localhost.pem"
)  # With its key; made with openssl for 100 years.

not_windows = pytest.mark.skipif(sys.platform == "win32", reason="asyncio has this on Unix only")


def server_context():
    """TLS for a server called localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_context():
    """TLS for a client that trusts this server only."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


async def echo(reader, writer):
    """Handle a connection: send everything back."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def close(writer):
    """Close a stream and wait for it."""
    writer.close()
    await writer.wait_closed()


class Recorder(asyncio.Protocol):
    """A protocol that logs what happens to it; `lost` is done when the connection is lost."""

    def __init__(self, log, name, greeting=b""):
        self.log, self.name, self.greeting = log, name, greeting
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        """Log it, and send the greeting."""
        self.transport = transport
        self.log.append((self.name, "made"))
        transport.write(self.greeting)

    def data_received(self, data):
        """Log it; the server answers, the client has heard enough."""
        self.log.append((self.name, "data", data))
        if self.name == "server":
            self.transport.write(data.upper())
        else:
            self.transport.write_eof()

    def eof_received(self):
        """Log it."""
        self.log.append((self.name, "eof"))

    def connection_lost(self, error):
        """Log it."""
        self.log.append((self.name, "lost", error))
        self.lost.set_result(None)


def test_streams(same):
    """A stream server serves several clients at the same time."""

    async def main(log):
        async def talk(number):
            reader, writer = await asyncio.open_connection(*address)
            for line in range(20):
                writer.write(b"%d %d\n" % (number, line))
                assert await reader.readline() == b"%d %d\n" % (number, line)
            writer.write_eof()
            rest = await reader.read()
            await close(writer)
            return number, rest

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        log.append(await asyncio.gather(*map(talk, range(10))))
        server.close()
        await server.wait_closed()

    assert same(main) == [[(number, b"") for number in range(10)]]


def test_large_transfers(same):
    """Flow control carries some megabytes through one connection."""

    async def main(log):
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        data = bytes(range(256)) * 8192

        async def send():
            for start in range(0, len(data), 100_000):
                writer.write(data[start : start + 100_000])
                await writer.drain()

        sending = asyncio.ensure_future(send())
        log.append(await reader.readexactly(len(data)) == data)
        await sending
        await close(writer)
        server.close()

    assert same(main) == [True]


def test_protocols(same):
    """The calls of a protocol come in the order of plain asyncio."""

    async def main(log):
        loop = asyncio.get_running_loop()
        server_log, client_log, servers = [], [], []

        def make_server():
            servers.append(Recorder(server_log, "server"))
            return servers[-1]

        server = await loop.create_server(make_server, "127.0.0.1", 0)
        _, client = await loop.create_connection(
            lambda: Recorder(client_log, "client", b"hello"), *server.sockets[0].getsockname()
        )
        await client.lost
        await servers[0].lost
        server.close()
        log.extend(server_log + client_log)

    log = same(main)
    assert ("client", "data", b"HELLO") in log
    assert log[-1] == ("client", "lost", None)


def test_refused_connections(same):
    """Connecting to a port where nobody listens raises ConnectionRefusedError."""

    async def main(log):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            try:
                await asyncio.open_connection(*unused.getsockname())
            except OSError as error:
                log.append(type(error).__name__)

    assert same(main) == ["ConnectionRefusedError"]


def test_lost_connections(same):
    """A reset by the peer reaches the reader as ConnectionResetError."""

    async def main(log):
        connected = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(
            lambda *streams: connected.set_result(streams), "127.0.0.1", 0
        )
        client = socket.create_connection(server.sockets[0].getsockname())
        reader, writer = await connected
        client.setsockopt(
            socket.SOL_SOCKET,
            socket.SO_LINGER,
            b"\1\0\0\0\0\0\0\0" if sys.platform != "win32" else b"\1\0\0\0",
        )
        client.close()
        try:
            await reader.read()
        except ConnectionResetError:
            log.append("reset")
        writer.transport.abort()
        server.close()
        await asyncio.sleep(0)

    log = same(main)
    assert (
        log == ["reset"] or sys.platform == "win32"
    )  # Under Wine plain asyncio's selector loop sees an ordinary end.


def test_servers_can_be_cancelled(same):
    """serve_forever() serves until it is cancelled."""

    async def main(log):
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        log.append(server.is_serving())
        serving.cancel()
        try:
            await serving
        except asyncio.CancelledError:
            log.append((server.is_serving(), server.sockets))

    same(main)


def test_tls(same):
    """Streams over TLS work in both directions."""

    async def main(log):
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(
            *address, ssl=client_context(), server_hostname="localhost"
        )
        log.append(writer.get_extra_info("peercert")["subject"])
        data = os.urandom(300_000)
        writer.write(data)
        log.append(await reader.readexactly(len(data)) == data)
        await close(writer)
        server.close()
        await asyncio.sleep(0.01)

    assert same(main) == [((("commonName", "localhost"),),), True]


# Before Python 3.11 asyncio leaves the transport of a failed handshake open.
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_tls_verifies_certificates(same):
    """A TLS client refuses a server with another name."""

    async def main(log):
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: None
        )  # The server's view of it.
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        try:
            await asyncio.open_connection(
                *address, ssl=client_context(), server_hostname="elsewhere"
            )
        except ssl.SSLCertVerificationError as error:
            log.append(error.verify_code)
        server.close()
        await asyncio.sleep(0.01)

    assert same(main) == [62]  # X509_V_ERR_HOSTNAME_MISMATCH
    gc.collect()


def test_tls_can_be_started_later(same):
    """loop.start_tls() turns a plain connection into one with TLS."""

    async def main(log):
        loop = asyncio.get_running_loop()

        class Server(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                if data == b"STARTTLS\n":
                    self.transport.write(b"GO\n")
                    kept.append(loop.create_task(self.upgrade()))
                else:
                    self.transport.write(data.upper())
                    self.transport.close()

            async def upgrade(self):
                self.transport = await loop.start_tls(
                    self.transport, self, server_context(), server_side=True
                )
                self.transport.write(b"SAFE\n")

        kept = []
        server = await loop.create_server(Server, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        log.append(await reader.readline())
        transport = writer.transport
        protocol = transport.get_protocol()
        writer._transport = await loop.start_tls(
            transport, protocol, client_context(), server_hostname="localhost"
        )
        log.append(await reader.readline())
        writer.write(b"secret\n")
        log.append(await reader.readline())
        await close(writer)
        server.close()
        await asyncio.sleep(0.01)

    assert same(main) == [b"GO\n", b"SAFE\n", b"SECRET\n"]


class Receiver(asyncio.DatagramProtocol):
    """Puts what it receives into a queue."""

    def __init__(self):
        self.received = asyncio.Queue()

    def datagram_received(self, data, address):
        """Keep it."""
        self.received.put_nowait((data, address))

    def connection_lost(self, error):
        """Keep that, too."""
        self.received.put_nowait(("lost", error))


def test_datagrams(same):
    """UDP endpoints send and receive."""

    async def main(log):
        loop = asyncio.get_running_loop()
        server, at_server = await loop.create_datagram_endpoint(
            Receiver, local_addr=("127.0.0.1", 0)
        )
        client, at_client = await loop.create_datagram_endpoint(
            Receiver, remote_addr=server.get_extra_info("sockname")
        )
        for word in (b"one", b"two", b"three"):
            client.sendto(word)
            data, address = await at_server.received.get()
            server.sendto(data[::-1], address)
            log.append((await at_client.received.get())[0])
        client.close()
        log.append(await at_client.received.get())
        server.close()
        await asyncio.sleep(0.001)

    assert same(main) == [b"eno", b"owt", b"eerht", ("lost", None)]


@not_windows
def test_unix_sockets(same):
    """Streams and datagrams over Unix sockets work."""

    async def main(log):
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            server = await asyncio.start_unix_server(echo, path)
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello\n")
            log.append(await reader.readline())
            await close(writer)
            server.close()
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        transport, receiver = await loop.create_datagram_endpoint(Receiver, sock=left)
        right.send(b"datagram")
        log.append((await receiver.received.get())[0])
        transport.close()
        right.close()
        await asyncio.sleep(0)

    assert same(main) == [b"hello\n", b"datagram"]


def test_socket_operations(same):
    """sock_accept(), sock_connect(), sock_recv(), sock_recv_into() and sock_sendall() work."""

    async def main(log):
        loop = asyncio.get_running_loop()
        with socket.socket() as listener, socket.socket() as client:
            for sock in (listener, client):
                sock.setblocking(False)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await loop.sock_connect(client, listener.getsockname())
            server, address = await accepting
            log.append(address == client.getsockname())
            with server:
                receiving = asyncio.ensure_future(loop.sock_recv(server, 100))
                await asyncio.sleep(0.001)
                await loop.sock_sendall(client, b"hello")
                log.append(await receiving)
                await loop.sock_sendall(server, b"world")
                buffer = bytearray(10)
                log.append((await loop.sock_recv_into(client, buffer), bytes(buffer[:5])))
                receiving = asyncio.ensure_future(loop.sock_recv(server, 100))
                await asyncio.sleep(0.001)
                receiving.cancel()
                log.append(await asyncio.gather(receiving, return_exceptions=True))
        log[-1] = repr(log[-1])

    assert same(main)[:3] == [True, b"hello", (5, b"world")]


def test_files_can_be_sent(same):
    """loop.sendfile() sends a file through a stream."""

    async def main(log):
        loop = asyncio.get_running_loop()
        received = loop.create_future()

        async def receive(reader, writer):
            received.set_result(await reader.read())
            writer.close()

        server = await asyncio.start_server(receive, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        with tempfile.TemporaryFile() as file:
            file.write(b"content" * 10_000)
            file.seek(0)
            log.append(await loop.sendfile(writer.transport, file))
        await close(writer)
        log.append(await received == b"content" * 10_000)
        server.close()

    assert same(main) == [70_000, True]


# Subprocesses.


def test_subprocess_exec(same):
    """A program gets arguments and input, and gives output, errors and an exit code."""

    async def main(log):
        program = "import sys; print(sys.argv[1], sys.stdin.read()); print('error', file=sys.stderr); sys.exit(7)"
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, "argument", **pipes
        )
        output, errors = await process.communicate(b"input")
        log.extend([output.split(), errors.split(), process.returncode])

    assert same(main) == [[b"argument", b"input"], [b"error"], 7]


def test_subprocess_shell(same):
    """A command of the shell gives its output line by line."""

    async def main(log):
        process = await asyncio.create_subprocess_shell(
            "echo one&& echo two", stdout=asyncio.subprocess.PIPE
        )
        async for line in process.stdout:
            log.append(line.strip())
        log.append(await process.wait())

    assert same(main) == [b"one", b"two", 0]


def test_subprocesses_can_be_killed(same):
    """kill() ends a program that does not end by itself; wait() gives its code."""

    async def main(log):
        program = "import time; print('started', flush=True); time.sleep(30)"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
        )
        log.append((await process.stdout.readline()).strip())
        process.kill()
        log.append(await asyncio.wait_for(process.wait(), 10))
        await process.communicate()

    assert same(main)[0] == b"started"


def test_subprocesses_run_at_the_same_time(same):
    """Several programs run beside each other and beside timers."""

    async def main(log):
        async def run(number):
            process = await asyncio.create_subprocess_shell(f"exit {number}")
            return await process.wait()

        ticks = []

        async def tick():
            while True:
                ticks.append(None)
                await asyncio.sleep(0.001)

        ticking = asyncio.ensure_future(tick())
        log.append(await asyncio.gather(*map(run, range(3))))
        ticking.cancel()
        log.append(len(ticks) > 1)

    assert same(main) == [[0, 1, 2], True]


@not_windows
def test_pipes(same):
    """connect_read_pipe() and connect_write_pipe() work."""

    async def main(log):
        loop = asyncio.get_running_loop()
        read_fd, write_fd = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb", 0)
        )
        writing, _ = await loop.connect_write_pipe(
            asyncio.BaseProtocol, os.fdopen(write_fd, "wb", 0)
        )
        writing.write(b"through the pipe\n" * 10_000)
        log.append(await reader.readline())
        writing.close()
        log.append(len(await reader.read()))
        transport.close()
        await asyncio.sleep(0)

    assert same(main) == [b"through the pipe\n", 9_999 * 17]


# File descriptors and signals.


def test_readers_and_writers(same):
    """add_reader() and add_writer() call when the fd is ready, once replaced the new callback, once removed nobody."""

    async def main(log):
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            got = asyncio.Event()

            def read(name):
                log.append((name, left.recv(100)))
                got.set()

            async def receive(data):
                got.clear()
                right.send(data)
                await got.wait()

            loop.add_reader(left, read, "first")
            await receive(b"one")
            loop.add_reader(left.fileno(), read, "second")
            await receive(b"two")
            log.append(loop.remove_reader(left))
            right.send(b"three")
            await asyncio.sleep(0.005)
            log.append(loop.remove_reader(left))
            loop.add_reader(left, read, "third")
            got.clear()
            await got.wait()

            written = loop.create_future()

            def write():
                log.append(loop.remove_writer(left))
                written.set_result(left.send(b"four"))

            loop.add_writer(left, write)  # Together with the reader of the same fd.
            log.append(await written)
            log.append(right.recv(100))
            await receive(b"five")
            loop.remove_reader(left)

    assert same(main) == [
        ("first", b"one"),
        ("second", b"two"),
        True,
        False,
        ("third", b"three"),
        True,
        4,
        b"four",
        ("third", b"five"),
    ]


def test_reader_that_removes_itself(same):
    """A reader callback may remove itself and close its socket."""

    async def main(log):
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        done = loop.create_future()

        def read():
            log.append(left.recv(1))
            loop.remove_reader(left)
            left.close()
            done.set_result(None)

        with left, right:
            loop.add_reader(left, read)
            right.send(b"many")
            await done
            await asyncio.sleep(0.002)

    assert same(main) == [b"m"]


@not_windows
def test_signal_handlers(same):
    """add_signal_handler() calls in the loop; after remove_signal_handler() the default holds again."""

    async def main(log):
        loop = asyncio.get_running_loop()
        got = asyncio.Event()

        def handle(*args):
            log.append(args)
            got.set()

        loop.add_signal_handler(signal.SIGUSR1, handle, "SIGUSR1", 1)
        loop.add_signal_handler(signal.SIGUSR2, handle, "SIGUSR2")
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            got.clear()
            loop.call_later(0.001, os.kill, os.getpid(), number)
            await got.wait()
        log.append(loop.remove_signal_handler(signal.SIGUSR1))
        log.append(loop.remove_signal_handler(signal.SIGUSR2))
        log.append(loop.remove_signal_handler(signal.SIGUSR2))
        log.append(signal.getsignal(signal.SIGUSR1))

    assert same(main) == [("SIGUSR1", 1), ("SIGUSR2",), True, True, False, signal.SIG_DFL]

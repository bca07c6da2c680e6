"""A wire between a gateway and a gRPC server; it notes the calls that the server itself refused."""

import contextlib
import socket
import threading

from .frames import Frames, Type


class Tap:
    """Relays connections to a port of this machine until `hang_up`; those it has go on."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.endpoint = f"h2c://127.0.0.1:{self.listener.getsockname()[1]}"
        # Each `grpc-status` but OK, in the order of the answers.
        self.refused = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hang_up(self):
        """From here on connections are refused."""
        # `close` alone leaves the socket listening for as long as `accept` waits.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target)
            except OSError:
                near.close()
                continue
            for source, sink, note in [(near, far, lambda received: None),
                                       (far, near, self._notes())]:
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=relay, args=(source, sink, note), daemon=True).start()

    def _notes(self):
        frames = Frames()

        def note(received):
            for got in frames.feed(received):
                if got.kind not in (Type.HEADERS, Type.CONTINUATION):
                    continue
                block = frames.gather(got)
                if block and (status := block[0].get("grpc-status", "0")) != "0":
                    self.refused.append(int(status))

        return note


def relay(source, sink, note):
    """Passes on what comes, and the end of it. What the other way still has is not touched."""
    with contextlib.suppress(OSError):
        while received := source.recv(65536):
            note(received)
            sink.sendall(received)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

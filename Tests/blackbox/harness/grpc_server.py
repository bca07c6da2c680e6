"""A gRPC service without generated code: messages are bytes, methods do what their names say."""

import concurrent.futures
import hashlib
import json
import threading

import grpc

from .gateway import poll

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Seen:
    """One call as the server saw it."""

    def __init__(self, method, context):
        self.method = method
        self.metadata = list(context.invocation_metadata())
        self.remaining = context.time_remaining()
        self.peer = context.peer()
        self.ended = threading.Event()
        self.was_cancelled = False

    def values(self, name):
        return [value for found, value in self.metadata if found == name]


def sum_of(pieces):
    """Number, size and hash of a stream's messages, as JSON."""
    count, size, digest = 0, 0, hashlib.sha256()
    for piece in pieces:
        count, size = count + 1, size + len(piece)
        digest.update(piece)
    return json.dumps([count, size, digest.hexdigest()]).encode()


class GrpcServer(grpc.GenericRpcHandler):
    """Serves every service whose name is asked for; only the method's name counts."""

    def __init__(self, credentials=None, compression=None, options=()):
        self.calls = []
        self.released = threading.Event()
        self.server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(256), handlers=[self], compression=compression,
            options=[*UNLIMITED, ("grpc.so_reuseport", 0), *options])
        address = "127.0.0.1:0"
        self.port = (self.server.add_secure_port(address, credentials) if credentials
                     else self.server.add_insecure_port(address))
        self.endpoint = f"{'https' if credentials else 'h2c'}://127.0.0.1:{self.port}"
        self.server.start()
        self.methods = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Collect": grpc.stream_unary_rpc_method_handler(self.collect),
            "Generate": grpc.unary_stream_rpc_method_handler(self.generate),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Early": grpc.unary_stream_rpc_method_handler(self.early),
            "Metadata": grpc.unary_unary_rpc_method_handler(self.metadata),
            "Abort": grpc.unary_unary_rpc_method_handler(self.abort),
            "AbortLate": grpc.unary_stream_rpc_method_handler(self.abort_late),
            "AbortWhileReading": grpc.stream_unary_rpc_method_handler(self.abort_while_reading),
            "Hang": grpc.unary_unary_rpc_method_handler(self.hang),
            "HangStream": grpc.stream_stream_rpc_method_handler(self.hang_stream),
        }

    def service(self, details):
        return self.methods.get(details.method.rpartition("/")[2])

    def reset(self):
        self.calls = []
        self.released = threading.Event()

    def stop(self):
        self.released.set()
        self.server.stop(0).wait(5)

    def call(self):
        """The only call so far."""
        poll(lambda: self.calls, what="a call at the server")
        assert len(self.calls) == 1, [seen.method for seen in self.calls]
        return self.calls[0]

    def note(self, method, context):
        seen = Seen(method, context)

        def ended():
            seen.was_cancelled = not finished.is_set()
            seen.ended.set()

        finished = threading.Event()
        seen.finish = finished.set
        if not context.add_callback(ended):
            ended()
        self.calls.append(seen)
        return seen

    def unary(self, request, context):
        self.note("Unary", context).finish()
        return request

    def collect(self, requests, context):
        seen = self.note("Collect", context)
        answer = sum_of(requests)
        seen.finish()
        return answer

    def generate(self, request, context):
        """As many messages of a size as the request says."""
        seen = self.note("Generate", context)
        count, size = json.loads(request)
        for number in range(count):
            yield number.to_bytes(4, "big") + b"g" * size
        seen.finish()

    def chat(self, requests, context):
        seen = self.note("Chat", context)
        for request in requests:
            yield request
        seen.finish()

    def early(self, request, context):
        """Initial metadata at once, the message when the test releases it."""
        seen = self.note("Early", context)
        context.send_initial_metadata([("x-early", "yes")])
        self.released.wait(10)
        yield request
        seen.finish()

    def metadata(self, request, context):
        self.note("Metadata", context).finish()
        context.send_initial_metadata([("x-initial", "one"), ("x-initial", "two"),
                                       ("x-initial-bin", b"\x00\xff\x80")])
        context.set_trailing_metadata([("x-trailing", "last"), ("x-trailing-bin", request)])
        return b""

    def abort(self, request, context):
        """Code and details as the request says, without a message: trailers only."""
        self.note("Abort", context).finish()
        number, details = json.loads(request)
        code = next(code for code in grpc.StatusCode if code.value[0] == number)
        context.set_trailing_metadata([("x-why", "test"), ("x-why-bin", b"\xff\x00")])
        context.abort(code, details)

    def abort_late(self, request, context):
        self.note("AbortLate", context).finish()
        for _ in range(3):
            yield request
        context.abort(grpc.StatusCode.DATA_LOSS, "after three")

    def abort_while_reading(self, requests, context):
        self.note("AbortWhileReading", context).finish()
        next(requests)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")

    def hang(self, request, context):
        seen = self.note("Hang", context)
        seen.ended.wait(20)
        return b""

    def hang_stream(self, requests, context):
        """One message back, then silence."""
        seen = self.note("HangStream", context)
        yield next(requests)
        seen.ended.wait(20)

#!/usr/bin/env python3
"""A gRPC service without a line about tokens. Who calls stands in the metadata `remote-user`, which
only the proxy can write. Messages are plain text, so that nothing has to be generated."""

import concurrent.futures
import time

import grpc

PRICES = {"tea": 3, "coffee": 4}


def caller(context):
    return dict(context.invocation_metadata()).get("remote-user", "nobody")


def get(request, context):
    name = request.decode()
    if name not in PRICES:
        context.abort(grpc.StatusCode.NOT_FOUND, f"no price for {name}")
    return f"{name}: {PRICES[name]}, for {caller(context)}".encode()


def watch(request, context):
    for _ in range(3):
        yield get(request, context)
        time.sleep(0.3)


def set_price(request, context):
    name, _, price = request.decode().partition("=")
    PRICES[name] = int(price)
    return get(name.encode(), context)


server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Prices", {
    "Get": grpc.unary_unary_rpc_method_handler(get),
    "Watch": grpc.unary_stream_rpc_method_handler(watch),
    "Set": grpc.unary_unary_rpc_method_handler(set_price),
})])
server.add_insecure_port("127.0.0.1:50051")
server.start()
server.wait_for_termination()

#!/usr/bin/env python3
"""Calls one method of shop.Prices with the token in $TOKEN: client.py Get|Watch|Set TEXT"""

import os
import pathlib
import sys

import grpc

method, text = sys.argv[1:]
trust = (pathlib.Path(__file__).resolve().parent / "run/tls.pem").read_bytes()
metadata = []
if token := os.environ.get("TOKEN"):
    metadata.append(("authorization", f"Bearer {token}"))
with grpc.secure_channel("localhost:8443", grpc.ssl_channel_credentials(trust)) as channel:
    kind = channel.unary_stream if method == "Watch" else channel.unary_unary
    try:
        answer = kind(f"/shop.Prices/{method}")(text.encode(), metadata=metadata, timeout=5)
        for message in answer if method == "Watch" else [answer]:
            print(message.decode())
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}")
        for name, value in [*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())]:
            if name == "www-authenticate":
                print(f"{name}: {value}")
        sys.exit(1)

"""The configurations that scripts/bench compares: one worker each, the same upstream for all."""

import json
import pathlib
import shutil
import sys

from demo_issuer import AUDIENCE, ISSUER
from processes import Owned, free_port

NGINX_COMMON = """
daemon off; master_process on; pid {folder}/{name}.pid; error_log stderr error;
worker_processes 1;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 600s; tcp_nodelay on;
    client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;
    fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u;
    scgi_temp_path {folder}/{name}-s;
{body}
}}
"""

# Answers with the fields it received under /echo, and with a small body everywhere else.
NGINX_UPSTREAM = """
    server {{
        listen 127.0.0.1:{port};
        default_type application/json;
        location / {{ return 200 '{{"order":42,"item":"tea","quantity":3,"state":"shipped"}}'; }}
        location /echo {{
            return 200 'via=$http_via
x-forwarded-for=$http_x_forwarded_for
x-forwarded-proto=$http_x_forwarded_proto
authorization=$http_authorization
connection=$http_connection
host=$http_host
';
        }}
    }}
"""

NGINX_PROXY = """
    upstream api {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://api;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header Via "1.1 nginx";
        }}
    }}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    http-reuse always
frontend in
    bind 127.0.0.1:{port}
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header Via "1.1 haproxy"
    default_backend api
backend api
    server one 127.0.0.1:{upstream}
"""


def tool(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    return found or sys.exit(f"{name} is missing; scripts/install bench brings it")


def _nginx(name, body, port, folder):
    path = pathlib.Path(folder, f"{name}.conf")
    path.write_text(NGINX_COMMON.format(folder=folder, name=name, body=body))
    command = [tool("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(path)]
    return Owned(name, command, port, folder)


def nginx_upstream(folder):
    port = free_port()
    return _nginx("upstream", NGINX_UPSTREAM.format(port=port), port, folder)


def nginx_proxy(folder, upstream):
    port = free_port()
    body = NGINX_PROXY.format(port=port, upstream=upstream.port)
    return _nginx("nginx", body, port, folder)


def haproxy(folder, upstream):
    port = free_port()
    path = pathlib.Path(folder, "haproxy.cfg")
    path.write_text(HAPROXY.format(port=port, upstream=upstream.port))
    return Owned("haproxy", [tool("haproxy"), "-db", "-q", "-f", str(path)], port, folder)


def bearward(binary, folder, upstream_endpoint, issuer, *, name="bearward", access="off", **more):
    """One worker with a public and a scope route; `more` are further top-level keys."""
    port = free_port()
    keys = pathlib.Path(folder, "jwks.json")
    issuer.write_key_set(keys)
    configuration = {
        "listeners": [{"address": f"127.0.0.1:{port}"}],
        "issuers": {
            "bench": {"issuer": ISSUER, "audiences": [AUDIENCE], "keys": {"file": str(keys)}}
        },
        "upstreams": {"api": {"endpoints": [upstream_endpoint]}},
        "routes": [
            {"path": "/public/**", "access": "public", "upstream": "api"},
            {"path": "/echo", "access": "public", "upstream": "api"},
            {"path": "/orders/**", "scopes": ["orders:read"], "upstream": "api"},
        ],
        "workers": 1,
        "log": {"access": access},
        **more,
    }
    path = pathlib.Path(folder, f"{name}.json")
    path.write_text(json.dumps(configuration, indent=2))
    return Owned(name, [str(binary), "serve", "--config", str(path)], port, folder)

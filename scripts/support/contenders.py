"""The configurations that scripts/bench compares: one worker each, the same upstream for all.

Each proxy is set up as its own documentation advises for this job: upstream connections kept alive,
no access log, and with a certificate TLS 1.2 and 1.3, session tickets, and HTTP/2 offered by ALPN.
"""

import json
import pathlib
import shutil
import sys

from demo_issuer import AUDIENCE, ISSUER
from processes import Owned, free_port

BODY = '{"order":42,"item":"tea","quantity":3,"state":"shipped"}'

NGINX_COMMON = """
daemon off; master_process on; pid {folder}/{name}.pid; error_log stderr error;
worker_processes 1;
events {{ worker_connections 8192; multi_accept on; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 600s; tcp_nodelay on;
    client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;
    fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u;
    scgi_temp_path {folder}/{name}-s;
{body}
}}
"""

# Answers with the fields it received under /echo, with a file under /files, and with a small body
# everywhere else.
NGINX_UPSTREAM = """
    sendfile on; sendfile_max_chunk 2m;
    server {{
        listen 127.0.0.1:{port};
        default_type application/json;
        location / {{ return 200 '{answer}'; }}
        location /files/ {{ root {folder}; }}
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

# Without the temporary file that takes what a slow client leaves behind: nobody here is slow.
NGINX_PROXY = """
    upstream api {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port}{listen};
{tls}
        proxy_max_temp_file_size 0;
{buffers}
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
        location = /nothing {{ return 404; }}
    }}
"""

NGINX_TLS = """
        ssl_certificate {certificate}; ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;
"""

HAPROXY = """
global
    nbthread 1
    maxconn {connections}
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    http-reuse always
frontend in
    bind 127.0.0.1:{port}{bind}
{rules}
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto {scheme}
    http-request set-header Via "1.1 haproxy"
    default_backend api
backend api
    server one 127.0.0.1:{upstream}{server}
"""

HAPROXY_JWT = """
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.jwt_alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request deny unless {{ var(txn.jwt_alg) -m str "{algorithm}" }}
    http-request deny unless {{ var(txn.bearer),jwt_verify(txn.jwt_alg,"{key}") 1 }}
"""

# HTTP/2 by prior knowledge, HTTP/1 else; the same answers as nginx gives above.
HAPROXY_UPSTREAM = """
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout client 600s
    timeout http-keep-alive 600s
frontend in
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain lf-string \
"via=%[req.hdr(via)]\\nx-forwarded-for=%[req.hdr(x-forwarded-for)]\\n\
x-forwarded-proto=%[req.hdr(x-forwarded-proto)]\\nauthorization=%[req.hdr(authorization)]\\n" \
if {{ path /echo }}
    http-request return status 200 content-type application/json string '{answer}'
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
    """Its `/files/NAME` is `folder`/files/NAME."""
    port = free_port()
    body = NGINX_UPSTREAM.format(port=port, folder=folder, answer=BODY)
    return _nginx("upstream", body, port, folder)


def nginx(folder, upstream, certificate=None, *, name="nginx", buffers=""):
    """`buffers`: directives for them, where nginx's own choice shall not hold."""
    port = free_port()
    tls = certificate and NGINX_TLS.format(
        certificate=certificate.certificate, key=certificate.key)
    body = NGINX_PROXY.format(
        port=port, upstream=upstream.port, listen=" ssl http2" if tls else "", tls=tls or "",
        buffers=f"        {buffers}")
    return _nginx(name, body, port, folder)


def _haproxy(name, text, port, folder):
    path = pathlib.Path(folder, f"{name}.cfg")
    path.write_text(text)
    return Owned(name, [tool("haproxy"), "-db", "-q", "-f", str(path)], port, folder)


def haproxy(folder, upstream, certificate=None, *, h2c=False, refuses=False, connections=4096):
    """`h2c`: speaks it to the upstream. `refuses`: answers 404 to /nothing by itself, as the other
    two do in any case; its rule is only there where it is asked for, since each request pays."""
    port = free_port()
    text = HAPROXY.format(
        port=port, upstream=upstream.port, connections=connections,
        bind=f" ssl crt {certificate.bundle} alpn h2,http/1.1" if certificate else "",
        rules="    http-request return status 404 if { path /nothing }" if refuses else "",
        scheme="https" if certificate else "http", server=" proto h2" if h2c else "")
    return _haproxy("haproxy", text, port, folder)


def haproxy_verifying(folder, upstream, algorithm, key):
    """Checks the signature of each request's token and nothing else, in the words of HAProxy's
    manual (`jwt_verify`)."""
    port = free_port()
    rules = HAPROXY_JWT.format(algorithm=algorithm, key=key)
    text = HAPROXY.format(
        port=port, upstream=upstream.port, connections=4096, bind="", rules=rules, scheme="http",
        server="")
    return _haproxy(f"haproxy-{algorithm}", text, port, folder)


def haproxy_upstream(folder):
    port = free_port()
    text = HAPROXY_UPSTREAM.format(port=port, answer=BODY)
    return _haproxy("h2c-upstream", text, port, folder)


def nghttpx(folder, upstream, certificate=None, *, h2c=False):
    port = free_port()
    nothing = pathlib.Path(folder, "nghttpx.conf")
    nothing.touch()
    command = [
        tool("nghttpx"), f"--conf={nothing}", "--workers=1", "--no-ocsp",
        f"--frontend=127.0.0.1,{port}" + ("" if certificate else ";no-tls"),
        f"--backend=127.0.0.1,{upstream.port};;proto={'h2' if h2c else 'http/1.1'}",
        "--add-x-forwarded-for", "--strip-incoming-x-forwarded-for",
        "--accesslog-file=/dev/null", "--accesslog-format=-",
        "--errorlog-file=/dev/stderr", "--log-level=ERROR",
    ]
    files = [str(certificate.key), str(certificate.certificate)] if certificate else []
    return Owned("nghttpx", command + files, port, folder)


def bearward(binary, folder, upstream_endpoint, issuer, *, name="bearward", access="off",
             certificate=None, **more):
    """One worker with a public and a scope route; `more` are further top-level keys."""
    port = free_port()
    keys = pathlib.Path(folder, "jwks.json")
    issuer.write_key_set(keys)
    listener = {"address": f"127.0.0.1:{port}"}
    if certificate:
        pair = {"certificate": str(certificate.certificate), "privateKey": str(certificate.key)}
        listener["tls"] = {"certificates": [pair]}
    configuration = {
        "listeners": [listener],
        "issuers": {
            "bench": {"issuer": ISSUER, "audiences": [AUDIENCE], "keys": {"file": str(keys)}}
        },
        "upstreams": {"api": {"endpoints": [upstream_endpoint]}},
        "routes": [
            {"path": "/public/**", "access": "public", "upstream": "api"},
            {"path": "/files/**", "access": "public", "upstream": "api"},
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

"""The black-box harness: a real bearward between scripted sockets.

`tokens` mints good and hostile tokens, `upstream` records what arrives and answers scripted bytes,
`client` speaks raw HTTP/1.1, `gateway` runs the binary and reads its access log, and `standard`
is the configuration that most tests share.
"""

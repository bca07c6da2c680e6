// Messages and the HTTP/1.1 wire format; no I/O.

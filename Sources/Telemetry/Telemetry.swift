// The access-log line and the reason codes; no I/O.

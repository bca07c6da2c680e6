// Readiness, sockets, deadlines, wake-ups; knows no protocol.

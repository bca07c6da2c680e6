// Connections, upstream pools, exchanges: where it all meets.

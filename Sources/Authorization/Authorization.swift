// Which route, which claims and scopes; allowed, or refused and why.

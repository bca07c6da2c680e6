// proxy.json to one immutable value, or every problem found.

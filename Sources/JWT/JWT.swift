// From a bearer token to verified claims.

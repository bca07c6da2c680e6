import Configuration
import Testing

@Suite struct ProblemTests {
    @Test(arguments: [
        ("", ["1:1: error: the file ends inside a value"]),
        ("[]", ["1:1: error: the configuration must be an object"]),
        ("{\n \"a\": 1,\n}", ["3:1: error: this cannot stand here in JSON"]),
        (
            "{\n \"workers\": 1,\n \"workers\": 2\n}",
            ["3:2: error: this name stands twice in the object"]
        ),
        ("{ // no\n}", ["1:3: error: this cannot stand here in JSON"]),
        (
            "{\"realm\": \"a\nb\"}",
            ["1:13: error: a control character in a string; write it as an escape"]
        ),
        ("{} {}", ["1:4: error: something follows the end of the configuration"]),
        ("\u{feff}{}", ["1:1: error: the file begins with a byte order mark"]),
        ("{\"workers\": 01}", ["1:13: error: no JSON number"]),
        ("{\"realm\": \"\\x\"}", ["1:12: error: no JSON escape"]),
        ("{\"realm\": \"\\ud800\"}", ["1:12: error: half of a surrogate pair"]),
        (
            "{}",
            [
                "1:1: error: the configuration lacks \"listeners\"",
                "1:1: error: the configuration lacks \"upstreams\"",
                "1:1: error: the configuration lacks \"routes\"",
            ]
        ),
    ])
    func textsThatAreNoConfiguration(text: String, expected: [String]) {
        #expect(problems(text) == expected)
    }

    @Test func everyProblemIsReportedInTheOrderOfTheFile() {
        let text = """
            {
              "listners": [],
              "listeners": [{ "adress": "127.0.0.1:8080" }],
              "issuers": { "login": { "issuer": "i", "audiences": ["a"], "keys": {} } },
              "upstreams": { "é": { "endpoints": ["https://a"] }, "b": { "endpoints": [] } },
              "routes": [
                { "path": "orders", "upstream": "c" },
                { "path": "/x", "upstream": "b", "timeouts": { "response": "5" } }
              ]
            }
            """
        #expect(
            problems(text) == [
                "2:3: error: \"listners\" is no key of the configuration; did you mean \"listeners\"?",
                "3:17: error: listeners[] lacks \"address\"",
                "3:19: error: \"adress\" is no key of listeners[]; did you mean \"address\"?",
                "4:70: error: \"keys\" must have exactly one of \"file\", \"jwks\" and \"secretFile\"",
                "5:39: error: \"https://\" is not in this version",
                "5:75: error: \"endpoints\" is empty",
                "7:15: error: \"path\": must begin with \"/\"",
                "7:37: error: there is no upstream \"c\"",
                "8:64: error: \"response\" must be a duration; write \"250ms\", \"30s\", \"10m\" or \"24h\"",
            ])
    }

    @Test(
        arguments: [
            (#"{}"#, [#"2:13: error: "listeners" must be an array"#]),
            (#"[]"#, [#"2:13: error: "listeners" is empty"#]),
            (#"[1]"#, [#"2:14: error: listeners[] must be an object"#]),
            (#"[{"address":""}]"#, [#"2:25: error: "address" must be a string that is not empty"#]),
            (
                #"[{"address":8080}]"#,
                [#"2:25: error: "address" must be a string that is not empty"#]
            ),
            (
                #"[{"address":"h:1"},{"address":"h:1"}]"#,
                ["2:43: error: the same address as the listener at 2:25"]
            ),
            (#"[{"address":"h:0"},{"address":"h:0"}]"#, []),
            (#"[{"address":"unix:"}]"#, [#"2:25: error: "address": no path"#]),
            (#"[{"address":"h:1","tls":{}}]"#, [#"2:31: error: "tls" is not in this version"#]),
            (
                #"[{"address":"h:1","proxyProtocol":true}]"#,
                [#"2:31: error: "proxyProtocol" is not in this version"#]
            ),
            (
                #"[{"address":"h:1","protocols":["h2","http/1.1"]}]"#,
                [#"2:44: error: each of "protocols" must be "http/1.1""#]
            ),
            (#"[{"address":"h:1","protocols":["http/1.1"]}]"#, []),
            (
                #"[{"address":"h:1","trustedProxies":["10.0.0.1/8"]}]"#,
                [
                    #"2:49: error: the network has bits beyond its prefix; did you mean "10.0.0.0/8"?"#
                ]
            ),
            (
                #"[{"address":"h:1","trustedProxies":["10.0.0.0/33","10.0.0/8","lo","unix"]}]"#,
                [
                    "2:49: error: the network's prefix is no length of its address",
                    #"2:63: error: each of "trustedProxies" must be a network, an address or "unix"; write "10.0.0.0/8", "::1" or "unix""#,
                    #"2:74: error: each of "trustedProxies" must be a network, an address or "unix"; write "10.0.0.0/8", "::1" or "unix""#,
                ]
            ),
        ] as [(String, [String])])
    func listeners(text: String, expected: [String]) {
        #expect(problems(sections(listeners: text)) == expected)
    }

    @Test(arguments: [
        "8080", ":8080", "*:8080", "127.0.0.1", "h:", "h:x", "h:65536", "h:-1", "127.0.0.1.1:80",
        "127.1:80",
        "::1:80", "[::1]", "[::1", "[127.0.0.1]:80", "http://h:80", "h:80/", "a@h:80", "h h:80",
        "[::g]:80",
        "é:80",
    ])
    func listenAddressesThatAreNone(address: String) {
        let found = problems(sections(listeners: #"[{"address":"\#(address)"}]"#))
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("2:25: error: \"address\" is no address; ") == true)
    }

    @Test(arguments: [
        ("{\"l\":1}", ["3:16: error: issuers.NAME must be an object"]),
        (
            "{\"l\":{}}",
            [
                "3:16: error: issuers.NAME lacks \"issuer\"",
                "3:16: error: issuers.NAME lacks \"keys\"",
                "3:16: error: issuers.NAME lacks \"audiences\"; without them tokens meant for others pass: "
                    + "\"unsafeNoAudience\": true",
            ]
        ),
        (
            issuer(#""audiences":[]"#),
            [
                "3:42: error: \"audiences\" is empty; without them tokens meant for others pass: \"unsafeNoAudience\": true"
            ]
        ),
        (issuer(#""audiences":"a""#), ["3:42: error: \"audiences\" must be an array"]),
        (issuer(#""unsafeNoAudience":true"#), []),
        (
            issuer(#""unsafeNoAudience":false"#),
            [
                "3:16: error: issuers.NAME lacks \"audiences\"; without them tokens meant for others pass: "
                    + "\"unsafeNoAudience\": true"
            ]
        ),
        (
            issuer(#""audiences":["a"],"algorithms":["none"]"#),
            [
                "3:62: error: each of \"algorithms\" must be one of \"RS256\", \"RS384\", \"RS512\", \"PS256\", "
                    + "\"PS384\", \"PS512\", \"ES256\", \"ES384\", \"ES512\", \"EdDSA\", \"Ed25519\", \"Ed448\", "
                    + "\"HS256\", \"HS384\", \"HS512\""
            ]
        ),
        (
            issuer(#""audiences":["a"],"algorithms":[]"#),
            ["3:61: error: \"algorithms\" is empty: no token would pass"]
        ),
        (
            issuer(#""audiences":["a"],"algorithms":["RS256","HS256"]"#),
            ["3:70: error: HS256 needs \"secretFile\": public keys are no secrets"]
        ),
        (
            issuer(#""audiences":["a"],"leeway":"301s""#),
            ["3:57: error: \"leeway\" must be from 0s to 300s"]
        ),
        (
            issuer(#""audiences":["a"],"leeway":60"#),
            [
                "3:57: error: \"leeway\" must be a duration; write \"250ms\", \"30s\", \"10m\" or \"24h\""
            ]
        ),
        (
            issuer(#""audiences":["a"],"maxLifetime":"0s""#),
            ["3:62: error: \"maxLifetime\" must be from 1s to 8760h"]
        ),
        (
            issuer(#""audiences":["a"],"types":[]"#),
            ["3:56: error: \"types\" is empty: no token would pass"]
        ),
        (
            issuer(#""audiences":["a"],"types":[1]"#),
            ["3:57: error: each of \"types\" that is not null must be a string that is not empty"]
        ),
        (
            issuer(#""audiences":["a"],"requiredClaims":["/a~2"]"#),
            ["3:66: error: no JSON Pointer: \"~\" stands before 0 or 1"]
        ),
        (
            issuer(#""audiences":["a"],"unsafeNoExpiry":1"#),
            ["3:65: error: \"unsafeNoExpiry\" must be true or false"]
        ),
        (
            issuer(#""audiences":["a"],"tenants":{}"#),
            ["3:48: error: \"tenants\" is not in this version"]
        ),
        (
            #"{"a":{"issuer":"i","audiences":["a"],"keys":{"file":"k"}},"b":{"issuer":"i","audiences":["a"],"keys":{"file":"k"}}}"#,
            ["3:83: error: the same \"issuer\" as \"a\" at 3:26"]
        ),
        (
            keys(#"{}"#),
            ["3:55: error: \"keys\" must have exactly one of \"file\", \"jwks\" and \"secretFile\""]
        ),
        (keys(#"1"#), ["3:55: error: keys must be an object"]),
        (
            keys(#"{"file":"k","secretFile":"s"}"#),
            ["3:55: error: \"keys\" must have exactly one of \"file\", \"jwks\" and \"secretFile\""]
        ),
        (keys(#"{"url":"https://a/jwks"}"#), ["3:56: error: \"url\" is not in this version"]),
        (keys(#"{"discovery":true}"#), ["3:56: error: \"discovery\" is not in this version"]),
        (
            keys(#"{"file":"k","refresh":"10m"}"#),
            ["3:67: error: \"refresh\" is not in this version"]
        ),
        (
            keys(#"{"file":"k","unknownKeyCooldown":"30s"}"#),
            ["3:67: error: \"unknownKeyCooldown\" is not in this version"]
        ),
        (keys(#"{"secretFile":"s"}"#), ["3:69: error: the secret file \"dir/s\" cannot be read"]),
        (
            keys(#"{"jwks":{}}"#),
            ["3:63: error: \"jwks\" is no JWK Set: it needs an array \"keys\""]
        ),
        (keys(#"{"jwks":{"keys":[]}}"#), ["3:63: error: \"jwks\" has no usable key"]),
        (
            keys(#"{"jwks":{"keys":[{"kty":"oct","k":"AAAA"}]}}"#),
            [
                "3:63: error: \"jwks\" has no usable key",
                "3:72: warning: this key is not used: a secret does not belong into a JWK Set; use \"secretFile\"",
            ]
        ),
        (
            keys(#"{"jwks":{"keys":[{"kty":"AKP"},\#(jwk)]}}"#),
            ["3:72: warning: this key is not used: its \"kty\" is unknown"]
        ),
    ])
    func issuers(text: String, expected: [String]) {
        #expect(problems(sections(issuers: text)) == expected)
    }

    @Test(
        arguments: [
            (
                "[]",
                [
                    "4:13: error: \"upstreams\" must be an object",
                    "5:36: error: there is no upstream \"up\"",
                ]
            ),
            (#"{"up":{}}"#, ["4:19: error: upstreams.NAME lacks \"endpoints\""]),
            (upstream(#""endpoints":[]"#), ["4:32: error: \"endpoints\" is empty"]),
            (upstream(#""endpoints":"http://a""#), ["4:32: error: \"endpoints\" must be an array"]),
            (
                upstream(#""endpoints":["https://a:1"]"#),
                ["4:33: error: \"https://\" is not in this version"]
            ),
            (
                upstream(#""endpoints":["h2c://a:1"]"#),
                ["4:33: error: \"h2c://\" is not in this version"]
            ),
            (
                upstream(#""endpoints":["a:1"]"#),
                [
                    "4:33: error: endpoint without a scheme; write \"http://host:port\" or \"unix:/path\""
                ]
            ),
            (
                upstream(#""endpoints":["http://a:1/"]"#),
                ["4:33: error: an endpoint has no path; a route's \"rewrite\" can add one"]
            ),
            (
                upstream(#""endpoints":["http://u@a:1"]"#),
                ["4:33: error: the endpoint has no valid host and port"]
            ),
            (
                upstream(#""endpoints":["http://a:0"]"#),
                ["4:33: error: the endpoint has no valid host and port"]
            ),
            (
                upstream(#""endpoints":["http://"]"#),
                ["4:33: error: the endpoint has no valid host and port"]
            ),
            (
                upstream(#""endpoints":["http://a?x"]"#),
                ["4:33: error: the endpoint has no valid host and port"]
            ),
            (upstream(#""endpoints":["unix:"]"#), ["4:33: error: endpoint: no path"]),
            (
                upstream(#""endpoints":["unix:/\#(String(repeating: "s", count: 107))"]"#),
                ["4:33: error: endpoint: a socket's path has at most 107 bytes"]
            ),
            (
                upstream(#""endpoints":["http://a"],"balance":"least-connection""#),
                [
                    "4:55: error: \"balance\" must be one of \"round-robin\", \"least-connections\"; did you mean \"least-connections\"?"
                ]
            ),
            (
                upstream(#""endpoints":["http://a"],"tls":{}"#),
                ["4:45: error: \"tls\" is not in this version"]
            ),
            (
                upstream(#""endpoints":["http://a"],"healthCheck":{}"#),
                ["4:45: error: \"healthCheck\" is not in this version"]
            ),
            (
                upstream(#""endpoints":["http://a"],"retries":11"#),
                ["4:55: error: \"retries\" must be a whole number from 0 to 10"]
            ),
            (
                upstream(#""endpoints":["http://a"],"retries":1.5"#),
                ["4:55: error: \"retries\" must be a whole number from 0 to 10"]
            ),
            (
                upstream(#""endpoints":["http://a"],"retries":1e400"#),
                ["4:55: error: \"retries\" must be a whole number from 0 to 10"]
            ),
            (
                upstream(#""endpoints":["http://a"],"retries":"1""#),
                ["4:55: error: \"retries\" must be a whole number from 0 to 10"]
            ),
            (
                upstream(#""endpoints":["http://a"],"maxConnections":0"#),
                ["4:62: error: \"maxConnections\" must be a whole number from 1 to 1000000"]
            ),
            (
                upstream(#""endpoints":["http://a"],"timeouts":{"connect":"0s"}"#),
                ["4:67: error: \"connect\" must be from 1ms to 8760h"]
            ),
            (
                upstream(#""endpoints":["http://a"],"timeouts":{"conect":"1s"}"#),
                [
                    "4:57: error: \"conect\" is no key of upstreams.NAME.timeouts; did you mean \"connect\"?"
                ]
            ),
        ] as [(String, [String])])
    func upstreams(text: String, expected: [String]) {
        #expect(problems(sections(upstreams: text)) == expected)
    }

    @Test(
        arguments: [
            ("[]", ["5:10: error: \"routes\" is empty: nothing would be forwarded"]),
            (
                #"[{"path":"/","upstream":"upp"}]"#,
                [#"5:34: error: there is no upstream "upp"; did you mean "up"?"#]
            ),
            (#"[{"upstream":"up"}]"#, [#"5:11: error: routes[] lacks "path""#]),
            (
                route(#""host":"a:80""#),
                [
                    #"5:46: error: "host" is no host; write "api.example.com" or "*.example.com", without scheme and port"#
                ]
            ),
            (route(#""host":"""#), [#"5:46: error: "host" must be a string that is not empty"#]),
            (
                route(#""methods":[]"#),
                [#"5:49: error: "methods" is empty; leave it out for all methods"#]
            ),
            (
                route(#""methods":["get"]"#),
                [#"5:50: error: methods are case-sensitive; write "GET""#]
            ),
            (
                route(#""methods":["TRACE","Connect"]"#),
                [
                    "5:50: error: TRACE is never forwarded",
                    "5:58: error: CONNECT is never forwarded",
                ]
            ),
            (route(#""methods":["GE T"]"#), [#"5:50: error: "GE T" is no method"#]),
            (route(#""methods":["GET","GET"]"#), [#"5:56: error: GET stands twice in "methods""#]),
            (
                route(#""access":"none""#),
                [#"5:48: error: "access" must be one of "token", "optional", "public""#]
            ),
            (
                route(#""access":"public","scopes":["a"]"#),
                [
                    #"5:57: error: "scopes" contradicts "access": "public", which reads no token; "access": "optional" checks a token where there is one"#
                ]
            ),
            (
                route(#""mode":"audit","access":"public""#),
                [
                    #"5:39: error: "mode": "audit" contradicts "access": "public", which refuses nothing"#
                ]
            ),
            (route(#""mode":"audit","access":"optional""#), []),
            (
                route(#""issuers":["logn","login"]"#),
                [#"5:50: error: there is no issuer "logn"; did you mean "login"?"#]
            ),
            (
                route(#""issuers":[]"#),
                [#"5:49: error: "issuers" is empty; leave it out for no such rule"#]
            ),
            (
                route(#""audiences":[1]"#),
                [#"5:52: error: each of "audiences" must be a string that is not empty"#]
            ),
            (
                route(#""scopes":"a""#),
                [#"5:48: error: "scopes" must be an array, or an object with "all" and "any""#]
            ),
            (
                route(#""scopes":[]"#),
                [#"5:48: error: "scopes" is empty; leave it out for no such rule"#]
            ),
            (route(#""scopes":{}"#), [#"5:48: error: "scopes" needs "all" or "any""#]),
            (
                route(#""scopes":{"some":["a"]}"#),
                [
                    #"5:48: error: "scopes" needs "all" or "any""#,
                    #"5:49: error: "some" is no key of scopes"#,
                ]
            ),
            (
                route(#""scopes":["a b"]"#),
                [
                    #"5:49: error: no scope: spaces, quotes, backslashes and controls cannot be in one; one string for each scope"#
                ]
            ),
            (
                route(#""scopes":["a\"b"]"#),
                [
                    #"5:49: error: no scope: spaces, quotes, backslashes and controls cannot be in one; one string for each scope"#
                ]
            ),
            (
                route(#""claims":{"a":null}"#),
                [
                    #"5:53: error: a claim must be a scalar, or an object with one of "equals", "in", "contains" and "present"; "present": false asks that it is absent"#
                ]
            ),
            (
                route(#""claims":{"a":[1]}"#),
                [
                    #"5:53: error: a claim must be a scalar, or an object with one of "equals", "in", "contains" and "present""#
                ]
            ),
            (
                route(#""claims":{"a":{}}"#),
                [
                    #"5:53: error: a claim has exactly one of "equals", "in", "contains" and "present""#
                ]
            ),
            (
                route(#""claims":{"a":{"in":[1],"equals":1}}"#),
                [
                    #"5:53: error: a claim has exactly one of "equals", "in", "contains" and "present""#
                ]
            ),
            (
                route(#""claims":{"a":{"in":[]}}"#),
                [#"5:53: error: "in" is empty: no token would pass"#]
            ),
            (
                route(#""claims":{"a":{"in":[null,[1]]}}"#),
                [
                    "5:60: error: this must be a string, a number, true or false",
                    "5:65: error: this must be a string, a number, true or false",
                ]
            ),
            (
                route(#""claims":{"a":{"contains":{}}}"#),
                ["5:65: error: this must be a string, a number, true or false"]
            ),
            (
                route(#""claims":{"a":{"present":1}}"#),
                [#"5:64: error: "present" must be true or false"#]
            ),
            (
                route(#""claims":{"a":{"equals":null}}"#),
                [#"5:63: error: null is no claim's value; "present": false asks that it is absent"#]
            ),
            (
                route(#""claims":{"/~":1}"#),
                [#"5:49: error: no JSON Pointer: "~" stands before 0 or 1"#]
            ),
            (route(#""claims":{"":1}"#), [#"5:49: error: "claims" has an empty name"#]),
            (
                route(#""rewrite":{"stripPrefix":"/a"}"#),
                [#"5:64: error: not every path of the route begins with "/a""#]
            ),
            (
                route(#""rewrite":{"addPrefix":"/a/"}"#),
                [
                    #"5:62: error: "addPrefix" must be a path without a final slash; write "/api" or "/api/v1""#
                ]
            ),
            (
                route(#""rewrite":{"addPrefix":"a"}"#),
                [
                    #"5:62: error: "addPrefix" must be a path without a final slash; write "/api" or "/api/v1""#
                ]
            ),
            (
                route(#""rewrite":{"addPrefix":"/a?b"}"#),
                [
                    #"5:62: error: "addPrefix" must be a path without a final slash; write "/api" or "/api/v1""#
                ]
            ),
            (
                route(#""rewrite":{"addPrefix":"/%61"}"#),
                [
                    #"5:62: error: "addPrefix" must be a path without a final slash; write "/api" or "/api/v1""#
                ]
            ),
            (
                route(#""upstreamHost":"a b""#),
                [#"5:54: error: "upstreamHost" must be "preserve", "endpoint" or a host"#]
            ),
            (
                route(#""forwardToken":"yes""#),
                [#"5:54: error: "forwardToken" must be true or false"#]
            ),
            (
                route(#""maxBody":1024"#),
                [#"5:49: error: "maxBody" must be a size; write "512B", "64KiB", "1MiB" or "2GiB""#]
            ),
            (
                route(#""maxBody":"1MB""#),
                [#"5:49: error: "maxBody" must be a size; write "512B", "64KiB", "1MiB" or "2GiB""#]
            ),
            (
                route(#""unsafePaths":["dots"]"#),
                [
                    #"5:54: error: each of "unsafePaths" must be one of "parameters", "encoded-slash", "empty-segments""#
                ]
            ),
            (
                route(#""timeouts":{"idle":"1s"}"#),
                [#"5:51: error: "idle" is no key of routes[].timeouts"#]
            ),
        ] as [(String, [String])])
    func routes(text: String, expected: [String]) {
        #expect(problems(sections(routes: text)) == expected)
    }

    @Test(arguments: [
        ("/a?b", "queries and fragments are never matched"),
        (
            "/a*",
            #""*" stands only in a last "/**"; "{name}" is one segment, a last "/**" is all below"#
        ),
        ("/{a}b", #""{name}" stands for one whole segment"#),
        ("/./a", "no request has this path: a segment of dots and spaces"),
        ("/a b", ##"no request has this path: it has an octet that must be escaped, "#" or "\""##),
        ("/%61", #"requests are matched in another form; write "/a""#),
        (
            "//a",
            #"requests with empty segments are refused; "unsafePaths" can allow them for this route"#
        ),
        (
            "/a;b%2Fc",
            #"requests with ";" and "%2F" are refused; "unsafePaths" can allow them for this route"#
        ),
    ])
    func paths(path: String, expected: String) {
        let found = problems(sections(routes: #"[{"path":"\#(path)","upstream":"up"}]"#))
        #expect(found == ["5:19: error: \"path\": \(expected)"])
    }

    @Test(
        arguments: [
            (#""claimHeaders":{"X User":"sub"}"#, [#"5:55: error: "X User" is no field name"#]),
            (
                #""claimHeaders":{"Host":"sub"}"#,
                [#"5:55: error: "upstreamHost" decides about Host"#]
            ),
            (
                #""claimHeaders":{"Authorization":"sub"}"#,
                ["5:55: error: Authorization carries no claim"]
            ),
            (
                #""claimHeaders":{"Content_Length":"sub"}"#,
                ["5:55: error: Content_Length belongs to the connection"]
            ),
            (
                #""claimHeaders":{"connection":"sub"}"#,
                ["5:55: error: connection belongs to the connection"]
            ),
            (
                #""claimHeaders":{"X-Forwarded-For":"sub"}"#,
                ["5:55: error: the proxy writes X-Forwarded-For itself"]
            ),
            (
                #""claimHeaders":{"X-A":1}"#,
                ["5:61: error: a claim's name must be a string that is not empty"]
            ),
            (
                #""claimHeaders":{"X-A":"/~3"}"#,
                [#"5:61: error: no JSON Pointer: "~" stands before 0 or 1"#]
            ),
            (
                #""claimHeaders":{"X-A":"a","x_a":"b"}"#,
                ["5:65: error: back ends take x_a for the same field as X-A at 5:55"]
            ),
            (
                #""requestHeaders":{"set":{"Via":"x"}}"#,
                ["5:64: error: the proxy writes Via itself"]
            ),
            (
                #""requestHeaders":{"set":{"TE":"x"}}"#,
                ["5:64: error: TE belongs to the connection"]
            ),
            (
                #""requestHeaders":{"set":{"Upgrade":"x"}}"#,
                ["5:64: error: Upgrade belongs to the connection"]
            ),
            (
                #""requestHeaders":{"set":{"X-A":"a\r\nX-B: c"}}"#,
                ["5:70: error: a field's value has no controls"]
            ),
            (
                #""requestHeaders":{"set":{"X-A":" a"}}"#,
                ["5:70: error: a field's value neither begins nor ends with a space"]
            ),
            (
                #""requestHeaders":{"set":{"X-A":1}}"#,
                ["5:70: error: a field's value must be a string"]
            ),
            (
                #""requestHeaders":{"set":{"X-A":"1","X.A":"2"}}"#,
                ["5:74: error: X.A is the same field as the one at 5:64"]
            ),
            (
                #""claimHeaders":{"X-A":"a"},"requestHeaders":{"set":{"X_A":"1"}}"#,
                [#"5:91: error: "claimHeaders" writes X_A too, at 5:55"#]
            ),
            (
                #""forwardToken":true,"requestHeaders":{"set":{"Authorization":"Basic x"}}"#,
                [#"5:84: error: "forwardToken" sends Authorization already"#]
            ),
            (#""requestHeaders":{"set":{"Authorization":"Basic x"}}"#, []),
            (
                #""requestHeaders":{"remove":["Host","Cookie"]}"#,
                [#"5:67: error: "upstreamHost" decides about Host"#]
            ),
            (#""requestHeaders":{"add":{}}"#, [#"5:57: error: "add" is no key of requestHeaders"#]),
            (
                #""responseHeaders":{"set":{"Content-Length":"1"}}"#,
                ["5:65: error: Content-Length belongs to the connection"]
            ),
            (
                #""responseHeaders":{"remove":["Transfer-Encoding"]}"#,
                ["5:68: error: Transfer-Encoding belongs to the connection"]
            ),
            (#""responseHeaders":{"set":{"Server":"x","Via":"y"}}"#, []),
        ] as [(String, [String])])
    func fields(text: String, expected: [String]) {
        #expect(problems(sections(routes: route(text))) == expected)
    }

    @Test(
        arguments: [
            (["/a", "/a"], [1], "the same host and path, neither with \"methods\", as the route"),
            (
                ["/a/{x}", "/b", "/a/{y}"], [2],
                "the same host and path, neither with \"methods\", as the route"
            ),
            (
                ["GET,POST /a", "POST /a"], [1],
                "the same host and path, and POST too, as the route"
            ),
            (["GET /a", "POST /a", "/a"], [], ""), (["/a", "/a/", "/a/**"], [], ""),
            (["h/a", "/a", "*.h/a"], [], ""),
            (
                ["H/a", "h./a"], [1],
                "the same host and path, neither with \"methods\", as the route"
            ),
            (["GET /a", "HEAD /a"], [], ""),
        ] as [([String], [Int], String)])
    func twinRoutes(routes: [String], twins: [Int], message: String) {
        let lines = routes.map { text in
            let parts = text.split(separator: " ")
            let place = parts[parts.count - 1]
            let start = place.firstIndex(of: "/") ?? place.startIndex
            var members = ["\"path\":\"\(place[start...])\"", "\"upstream\":\"up\""]
            if start > place.startIndex { members.append("\"host\":\"\(place[..<start])\"") }
            if parts.count > 1 {
                let methods = parts[0].split(separator: ",").map { "\"\($0)\"" }
                members.append("\"methods\":[\(methods.joined(separator: ","))]")
            }
            return "{\(members.joined(separator: ","))}"
        }
        let found = problems(sections(routes: "[\n" + lines.joined(separator: ",\n") + "]"))
        #expect(found == twins.map { "\($0 + 6):1: error: \(message) at 6:1" })
    }

    @Test func routeNamesAreTheirOwn() {
        let text =
            #"[{"path":"/a","name":"n","upstream":"up"},{"path":"/b","name":"n","upstream":"up"}]"#
        #expect(
            problems(sections(routes: text)) == [
                "5:72: error: the same name as the route's at 5:31"
            ])
    }

    @Test func tokensNeedAnIssuer() {
        let expected = [
            "5:11: error: the route needs tokens, but \"issuers\" has nobody to issue them; "
                + "an open route says \"access\": \"public\""
        ]
        #expect(problems(sections(issuers: "{}")) == expected)
        let open = route(#""access":"public""#)
        #expect(problems(sections(issuers: "{}", routes: open)) == [])
    }

    @Test(
        arguments: [
            (
                #""admin":{"address":"127.0.0.1:1"}"#,
                [#"6:1: error: "admin" is not in this version"#]
            ),
            (#""stateDirectory":"s""#, [#"6:1: error: "stateDirectory" is not in this version"#]),
            (
                #""limits":{"concurrentStreams":1}"#,
                [#"6:11: error: "concurrentStreams" is not in this version"#]
            ),
            (
                #""limits":{"requestHead":"1KB"}"#,
                [
                    #"6:25: error: "requestHead" must be a size; write "512B", "64KiB", "1MiB" or "2GiB""#
                ]
            ),
            (
                #""limits":{"requestHead":"1B"}"#,
                [#"6:25: error: "requestHead" must be from 1KiB to 1MiB"#]
            ),
            (
                #""limits":{"token":"99999999999999999999B"}"#,
                [#"6:19: error: "token" must be a size; write "512B", "64KiB", "1MiB" or "2GiB""#]
            ),
            (
                #""limits":{"token":"999999999999999999GiB"}"#,
                [#"6:19: error: "token" must be a size; write "512B", "64KiB", "1MiB" or "2GiB""#]
            ),
            (
                #""limits":{"requestFields":-1}"#,
                [#"6:27: error: "requestFields" must be a whole number from 10 to 1000"#]
            ),
            (#""limits":[]"#, ["6:10: error: limits must be an object"]),
            (
                #""timeouts":{"head":"1.5s"}"#,
                [#"6:20: error: "head" must be a duration; write "250ms", "30s", "10m" or "24h""#]
            ),
            (
                #""timeouts":{"head":"1 s"}"#,
                [#"6:20: error: "head" must be a duration; write "250ms", "30s", "10m" or "24h""#]
            ),
            (
                #""timeouts":{"head":"-1s"}"#,
                [#"6:20: error: "head" must be a duration; write "250ms", "30s", "10m" or "24h""#]
            ),
            (
                #""timeouts":{"head":"1d"}"#,
                [#"6:20: error: "head" must be a duration; write "250ms", "30s", "10m" or "24h""#]
            ),
            (
                #""timeouts":{"head":"999999999999999999h"}"#,
                [#"6:20: error: "head" must be a duration; write "250ms", "30s", "10m" or "24h""#]
            ),
            (#""timeouts":{"head":"8761h"}"#, [#"6:20: error: "head" must be from 1ms to 8760h"#]),
            (#""tokenCache":{"maxAge":"25h"}"#, [#"6:24: error: "maxAge" must be from 0s to 24h"#]),
            (#""workers":0"#, [#"6:11: error: "workers" must be a whole number from 1 to 1024"#]),
            (#""workers":"2""#, [#"6:11: error: "workers" must be a whole number from 1 to 1024"#]),
            (
                #""log":{"level":"warn"}"#,
                [
                    #"6:16: error: "level" must be one of "trace", "debug", "info", "notice", "warning", "error", "critical""#
                ]
            ),
            (
                #""log":{"access":true}"#,
                [#"6:17: error: "access" must be a string that is not empty"#]
            ),
            (
                #""realm":"a\"b""#,
                [#"6:9: error: "realm" must be ASCII without quotes, backslashes and controls"#]
            ),
            (#""realm":"""#, [#"6:9: error: "realm" must be a string that is not empty"#]),
            (
                #""realm":"é""#,
                [#"6:9: error: "realm" must be ASCII without quotes, backslashes and controls"#]
            ),
            (#""identityHeaders":["X User"]"#, [#"6:20: error: "X User" is no field name"#]),
            (#""identityHeaders":["*"]"#, [#"6:20: error: "*" is no field name"#]),
            (
                #""identityHeaders":["Host"]"#,
                ["6:20: error: Host is no identity header: requests need it"]
            ),
            (#""identityHeaders":[]"#, []),
        ] as [(String, [String])])
    func settings(text: String, expected: [String]) {
        #expect(problems(sections(more: text)) == expected)
    }
}

private func issuer(_ members: String) -> String {
    #"{"l":{"issuer":"i",\#(members),"keys":{"file":"k"}}}"#
}

private func keys(_ keys: String) -> String {
    #"{"l":{"issuer":"i","audiences":["a"],"keys":\#(keys)}}"#
}

private func upstream(_ members: String) -> String { #"{"up":{\#(members)}}"# }

private func route(_ members: String) -> String {
    #"[{"path":"/","upstream":"up",\#(members)}]"#
}

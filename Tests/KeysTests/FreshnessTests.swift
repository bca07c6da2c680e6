import Testing

@testable import Keys

@Suite struct FreshnessTests {
    /// Sun, 06 Nov 1994 08:49:37 GMT
    private static let then: Int64 = 784_111_777

    private static func lifetime(_ lines: [(String, String)], now: Int64 = then) -> Int64? {
        var freshness = Freshness()
        for (name, value) in lines {
            freshness.read(Array(name.utf8).span, Array(value.utf8).span)
        }
        return freshness.lifetime(unixSeconds: now)
    }

    @Test(
        "Cache-Control decides, within a minute and an hour",
        arguments: [
            ("max-age=300", 300), ("MAX-AGE=300", 300), ("public, max-age=300", 300),
            ("max-age=300, must-revalidate, no-transform", 300), ("max-age=\"300\"", 300),
            (" max-age=300 ", 300), ("max-age=300,max-age=200", 200), (",,max-age=300,", 300),
            ("max-age=0", 60), ("max-age=59", 60), ("max-age=60", 60), ("max-age=3600", 3600),
            ("max-age=3601", 3600), ("max-age=19080", 3600), ("max-age=00300", 300),
            ("max-age=9223372036854775807", 3600), ("max-age=9223372036854775808", 3600),
            ("max-age=99999999999999999999999999999999", 3600),
            ("no-store", 60), ("no-cache", 60), ("no-cache, max-age=300", 60),
            ("No-Store, max-age=300", 60), ("private, max-age=300", 300),
            ("s-maxage=300", nil), ("s-maxage=90, max-age=300", 300),
            ("no-cache=\"set-cookie\", max-age=300", 300),
            ("", nil), ("public", nil), ("max-age", nil), ("max-age=", nil), ("max-age=-1", nil),
            ("max-age=+1", nil), ("max-age=1.5", nil), ("max-age=1e3", nil), ("max-age=0x10", nil),
            ("max-age=abc", nil), ("max-age= 300", nil), ("max-age=\"300", nil),
            ("max-age=\"\"", nil), ("max-age=\"", nil), ("x-max-age=300", nil),
            ("max-age=3 0", nil),
            ("stale-while-revalidate=300", nil), ("=300", nil), ("=", nil), ("max-age=٣٠٠", nil),
        ] as [(String, Int64?)])
    func cacheControl(value: String, seconds: Int64?) {
        #expect(Self.lifetime([("Cache-Control", value)]) == seconds.map { $0 * 1000 })
    }

    @Test(
        "Age is taken off, Expires counts without max-age, what is malformed is as if absent",
        arguments: [
            ([("cache-control", "max-age=300"), ("age", "100")], 200),
            ([("age", "100"), ("cache-control", "max-age=300")], 200),
            ([("cache-control", "max-age=300"), ("age", "300")], 60),
            ([("cache-control", "max-age=300"), ("age", "99999999999999999999")], 60),
            ([("cache-control", "max-age=300"), ("age", "-100")], 300),
            ([("cache-control", "max-age=300"), ("age", "")], 300),
            ([("cache-control", "max-age=300"), ("age", "x")], 300),
            ([("cache-control", "max-age=300"), ("age", "10"), ("age", "100")], 200),
            ([("cache-control", "public"), ("cache-control", "max-age=300")], 300),
            ([("age", "100")], nil),
            ([("date", "Sun, 06 Nov 1994 08:49:37 GMT")], nil),
            (
                [
                    ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
                    ("expires", "Sun, 06 Nov 1994 08:59:37 GMT"),
                ], 600
            ),
            (
                [
                    ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
                    ("expires", "Sun, 06 Nov 1994 08:59:37 GMT"), ("age", "500"),
                ], 100
            ),
            // Both clocks are the issuer's: ours may be wrong by years.
            (
                [
                    ("date", "Sat, 01 Jan 2050 00:00:00 GMT"),
                    ("expires", "Sat, 01 Jan 2050 00:10:00 GMT"),
                ], 600
            ),
            ([("expires", "Sun, 06 Nov 1994 08:59:37 GMT")], 600),
            ([("expires", "Sun, 06 Nov 1994 08:59:37 GMT"), ("date", "x")], 600),
            ([("expires", "Sun, 06 Nov 1994 08:49:37 GMT")], 60),
            ([("expires", "Thu, 01 Jan 1970 00:00:00 GMT")], 60),
            ([("expires", "Fri, 31 Dec 9999 23:59:59 GMT")], 3600),
            // RFC 9111, section 5.3: not a date is in the past.
            ([("expires", "0")], 60), ([("expires", "-1")], 60), ([("expires", "")], 60),
            ([("expires", "0"), ("cache-control", "max-age=300")], 300),
            (
                [
                    ("expires", "Sun, 06 Nov 1994 08:59:37 GMT"),
                    ("expires", "Sun, 06 Nov 1994 08:54:37 GMT"),
                ], 300
            ),
            ([("content-type", "max-age=300")], nil), ([], nil),
            ([("pragma", "no-cache")], nil),
        ] as [([(String, String)], Int64?)])
    func otherFields(lines: [(String, String)], seconds: Int64?) {
        #expect(Self.lifetime(lines) == seconds.map { $0 * 1000 })
    }

    @Test(
        "A clock at the ends of time gives a lifetime within bounds",
        arguments: [
            Int64.min, -1, 0, Int64.max,
        ])
    func clocks(now: Int64) throws {
        let lines = [("expires", "Sun, 06 Nov 1994 08:59:37 GMT"), ("age", "2147483648")]
        let lifetime = try #require(Self.lifetime(lines, now: now))
        #expect((60_000...3_600_000).contains(lifetime))
    }

    @Test(
        "All three forms of a date are read",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Sun Nov 06 08:49:37 1994", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
            ("Sat, 29 Feb 2020 12:00:00 GMT", 1_582_977_600),
            ("Sun, 01 Mar 2020 00:00:00 GMT", 1_583_020_800),
            ("Tue, 19 Jan 2038 03:14:08 GMT", 2_147_483_648),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("Sat, 01 Jan 0000 00:00:00 GMT", -62_167_219_200),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
            ("Wednesday, 01-Jan-70 00:00:00 GMT", 0),
            ("Thu, 01 Jan 2026 00:00:00 GMT", 1_767_225_600),
        ] as [(String, Int64)])
    func dates(text: String, seconds: Int64) {
        #expect(HTTPDate.unixSeconds(Array(text.utf8).span) == seconds)
    }

    @Test(
        "Anything else is no date",
        arguments: [
            "", "0", "-1", "GMT", " GMT", ",", "Sun, 06 Nov 1994 08:49:37", "784111777",
            "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Xxx 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08-49-37 GMT",
            "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
            "Sunday, 06-Nov-9 08:49:37 GMT", "Sun Nov   08:49:37 1994 ", "Sun Nov  6 08:49:37 94  ",
            "SunNov  6 08:49:37 1994x", ",                        ", ", 06-Nov-94 08:49:37 GMt",
        ])
    func noDates(text: String) {
        #expect(HTTPDate.unixSeconds(Array(text.utf8).span) == nil)
    }
}

import JSON
import Testing

@Suite struct JSONNumberTests {
    private func number(_ text: String) throws -> JSONNumber {
        try #require(try parse(text).number)
    }

    @Test(arguments: [
        "0", "-0", "10", "-1.50", "1E5", "1e+05", "0.1e-10", "1e400", "123456789012345678901",
    ])
    func textIsKeptAsWritten(text: String) throws {
        #expect(try number(text).text == text)
    }

    @Test(arguments: [
        ("1", "1.0"), ("1", "10e-1"), ("1", "0.1e1"), ("100", "1e2"), ("100", "1E+2"),
        ("0", "-0"), ("0", "0.000"), ("0", "0e99"), ("0.5", "5e-1"), ("1e400", "10e399"),
        ("1e999999999", "10e999999998"), ("1e001", "10"), ("-1.50", "-1.5"),
        ("0.0012", "12e-4"), ("1e-00000000000000000001", "0.1"),
    ])
    func equalNumbersAreEqualHoweverWritten(left: String, right: String) throws {
        #expect(try number(left) == number(right))
    }

    @Test(arguments: [
        ("1", "-1"), ("1", "10"), ("1", "1.0000000000000000001"), ("0", "1e-999999999"),
        ("9007199254740993", "9007199254740992"), ("1e400", "1e401"), ("0.1", "0.01"),
        ("1e999999999", "1e999999998"),
    ])
    func differentNumbersDiffer(left: String, right: String) throws {
        #expect(try number(left) != number(right))
    }

    @Test(
        arguments: [
            ("0", 0, 0), ("-0", 0, 0), ("1700000000", 1_700_000_000, 1_700_000_000),
            ("1.7e9", 1_700_000_000, 1_700_000_000), ("1700000000.9", nil, 1_700_000_000),
            ("1.5", nil, 1), ("-1.5", nil, -2), ("-0.1", nil, -1), ("0.9", nil, 0),
            ("1e-400", nil, 0), ("-1e-400", nil, -1), ("10e-1", 1, 1), ("1.0", 1, 1),
            ("9223372036854775807", .max, .max), ("-9223372036854775808", .min, .min),
            ("9223372036854775807.5", nil, .max), ("-9223372036854775808.5", nil, nil),
            ("9223372036854775808", nil, nil), ("-9223372036854775809", nil, nil),
            ("18446744073709551616", nil, nil),
            ("1e18", 1_000_000_000_000_000_000, 1_000_000_000_000_000_000),
            ("1e19", nil, nil), ("1e400", nil, nil), ("-1e400", nil, nil),
            ("1e999999999", nil, nil),
            ("0e999999999", 0, 0), ("99999999999999999999999", nil, nil),
        ] as [(String, Int64?, Int64?)])
    func integersAndFloorsAreExactOrNil(text: String, integer: Int64?, floor: Int64?) throws {
        #expect(try number(text).integer == integer)
        #expect(try number(text).floor == floor)
    }
}

import Bytes

/// A number as it is written (RFC 8259, section 6).
///
/// Never a `Double`: claims are compared exactly, and `Int(Double)` traps beyond 2^63.
package struct JSONNumber: Sendable {
    /// The number as written.
    package let text: String

    /// What the reader found to fit the grammar.
    init(checked text: String) {
        self.text = text
    }

    /// A whole number.
    package init(_ value: Int64) {
        text = String(value)
    }

    /// The value where it is whole and fits, however it is written (`1`, `1.0`, `10e-1`); or nil.
    package var integer: Int64? {
        let decimal = Decimal(text)
        return decimal.isWhole ? decimal.floor() : nil
    }

    /// The greatest whole number that is not above the value; nil where that does not fit. For
    /// a NumericDate (RFC 7519, section 2), which may have a fraction.
    package var floor: Int64? {
        Decimal(text).floor()
    }

    /// Whether the value is below zero.
    package var isNegative: Bool {
        Decimal(text).isNegative
    }
}

extension JSONNumber: Equatable {
    /// Whether both are the same number: 1, 1.0 and 10e-1 are.
    package static func == (left: JSONNumber, right: JSONNumber) -> Bool {
        left.text.isExactly(right.text) || Decimal(left.text) == Decimal(right.text)
    }
}

/// `0.d1d2d3… × 10^exponent`, with neither leading nor trailing zeros among the digits, so that
/// each number has one form. Zero has no digits.
private struct Decimal: Equatable {
    let isNegative: Bool
    let digits: [UInt8]
    let exponent: Int

    init(_ text: String) {
        var digits: [UInt8] = []
        var point: Int?
        var exponent = 0
        var exponentIsNegative = false
        var isInExponent = false
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "."):
                point = digits.count
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                isInExponent = true
            case UInt8(ascii: "-") where isInExponent:
                exponentIsNegative = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if isInExponent {
                    // The reader lets at most 15 significant digits through.
                    exponent = exponent &* 10 &+ Int(byte &- 0x30)
                } else {
                    digits.append(byte &- 0x30)
                }
            default:
                break
            }
        }
        let leadingZeros = digits.firstIndex { $0 != 0 } ?? digits.count
        let scale = (point ?? digits.count) &- leadingZeros
        while digits.count > leadingZeros, digits.last == 0 { digits.removeLast() }
        digits.removeFirst(leadingZeros)
        self.digits = digits
        self.exponent =
            digits.isEmpty ? 0 : scale &+ (exponentIsNegative ? 0 &- exponent : exponent)
        isNegative = !digits.isEmpty && text.utf8.first == UInt8(ascii: "-")
    }

    var isWhole: Bool { digits.count <= exponent || digits.isEmpty }

    func floor() -> Int64? {
        if digits.isEmpty { return 0 }
        if exponent <= 0 { return isNegative ? -1 : 0 }
        // Int64 has at most 19 digits.
        guard exponent <= 19 else { return nil }
        var value: Int64 = 0
        for place in 0..<exponent {
            let digit = place < digits.count ? Int64(digits[place]) : 0
            let (shifted, first) = value.multipliedReportingOverflow(by: 10)
            // Below zero from the start, so that the least Int64 fits.
            let (sum, second) = shifted.addingReportingOverflow(isNegative ? 0 &- digit : digit)
            if first || second { return nil }
            value = sum
        }
        guard isNegative, !isWhole else { return value }
        let (below, overflow) = value.subtractingReportingOverflow(1)
        return overflow ? nil : below
    }
}

/// A number of a JSON file, kept as it was spelled: `1e-05` stays `1e-05`.
///
/// `Infinity`, `-Infinity` and `NaN` are numbers, too, as Python's `json` writes and reads them.
public struct JSONNumber: Sendable, Hashable {
    /// The number as it stands in the file.
    public let text: String

    /// A number read from a file, whose spelling the parser has checked.
    init(spelling text: String) { self.text = text }

    /// An integer.
    public init(_ value: Int) { text = String(value) }

    /// A whole number that may be above what an `Int` holds.
    package init(_ value: UInt64) { text = String(value) }

    /// A finite number, spelled as Python spells it (`repr`): the shortest digits that read back as the same
    /// value, an exponent below 1e-4 and from 1e16 on.
    public init(_ value: Double) {
        precondition(value.isFinite, "JSON can't write \(value)")
        text = pythonSpelling(of: value)
    }

    /// The value, when it is spelled as an integer and fits.
    public var int: Int? { Int(text) }

    /// The nearest double; infinite when the number is too large, or is called `Infinity`.
    public var double: Double { Double(text) ?? .nan }
}

/// Python's `repr` of a finite double.
private func pythonSpelling(of value: Double) -> String {
    let (negative, digits, exponent) = shortestDigits(of: value)
    let sign = negative ? "-" : ""
    let count = digits.utf8.count
    switch exponent {
    case -4..<0:
        return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits
    case 0..<16 where count <= exponent + 1:
        return sign + digits + String(repeating: "0", count: exponent + 1 - count) + ".0"
    case 0..<16:
        return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
    default:
        let fraction = count > 1 ? "." + digits.dropFirst() : ""
        let magnitude = String(abs(exponent))
        let padded = magnitude.utf8.count < 2 ? "0" + magnitude : magnitude
        return sign + digits.prefix(1) + fraction + "e" + (exponent < 0 ? "-" : "+") + padded
    }
}

/// The shortest digits d₀d₁d₂… and the exponent e with value = d₀.d₁d₂… × 10ᵉ.
private func shortestDigits(of value: Double) -> (negative: Bool, digits: String, exponent: Int) {
    var digits: [UInt8] = []
    var point: Int?
    var written = 0
    let description = Array(abs(value).description.utf8)
    let mantissaEnd = description.firstIndex(of: UInt8(ascii: "e")) ?? description.count
    for byte in description[..<mantissaEnd] {
        if byte == UInt8(ascii: ".") { point = digits.count } else { digits.append(byte) }
    }
    if mantissaEnd < description.count {
        written = Int(String(decoding: description[(mantissaEnd + 1)...], as: UTF8.self)) ?? 0
    }
    var exponent = (point ?? digits.count) - 1 + written
    let leadingZeros = min(digits.prefix { $0 == UInt8(ascii: "0") }.count, digits.count - 1)
    digits.removeFirst(leadingZeros)
    exponent -= leadingZeros
    while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() }
    if value == 0 { exponent = 0 }
    return (value.sign == .minus, String(decoding: digits, as: UTF8.self), exponent)
}

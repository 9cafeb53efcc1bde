/// Strings and numbers.
extension JSONParser {
    /// A string; the opening quote is the current byte, and the whole text is known to be UTF-8.
    mutating func parseString(_ bytes: Span<UInt8>) throws(Failure) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                defer { position += 1 }
                return makeString(bytes.extracting(start..<position))
            }
            if byte == UInt8(ascii: "\\") { return try parseEscapedString(bytes, from: start) }
            guard byte >= 0x20 else { throw controlCharacter(byte) }
            position += 1
        }
        throw failure("the string's closing quote")
    }

    /// The rest of a string whose first escape is the current byte.
    private mutating func parseEscapedString(_ bytes: Span<UInt8>, from start: Int) throws(Failure) -> String
    {
        unescaped.removeAll(keepingCapacity: true)
        for index in start..<position { unescaped.append(bytes[index]) }
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return makeString(unescaped.span)
            case UInt8(ascii: "\\"): try parseEscape(bytes)
            case 0x20...: unescaped.append(byte)
            default:
                position -= 1
                throw controlCharacter(byte)
            }
        }
        throw failure("the string's closing quote")
    }

    func controlCharacter(_ byte: UInt8) -> Failure {
        let name = byte == 0x0A ? "the end of the line" : "the control character \(byte)"
        return failure("an escape (\\n, \\t, \\u0000 …) or the string's closing quote", found: name)
    }

    /// An escape, its backslash behind the current position.
    private mutating func parseEscape(_ bytes: Span<UInt8>) throws(Failure) {
        guard position < bytes.count else { throw failure("the rest of an escape") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(byte)
        case UInt8(ascii: "b"): unescaped.append(0x08)
        case UInt8(ascii: "f"): unescaped.append(0x0C)
        case UInt8(ascii: "n"): unescaped.append(0x0A)
        case UInt8(ascii: "r"): unescaped.append(0x0D)
        case UInt8(ascii: "t"): unescaped.append(0x09)
        case UInt8(ascii: "u"):
            unescaped.append(contentsOf: Array(Character(try parseUnicodeEscape(bytes)).utf8))
        default:
            position -= 1
            throw failure("one of \" \\ / b f n r t u after a backslash")
        }
    }

    /// The character of `\uXXXX` or of a surrogate pair; the first `\u` is behind the current position.
    private mutating func parseUnicodeEscape(_ bytes: Span<UInt8>) throws(Failure) -> Unicode.Scalar {
        let start = position - 2
        let unit = try parseHexadecimal(bytes)
        if let scalar = Unicode.Scalar(unit) { return scalar }
        // Every value below 0x10000 that is no scalar is half of a surrogate pair.
        guard unit < 0xDC00, consume(UInt8(ascii: "\\"), bytes), consume(UInt8(ascii: "u"), bytes) else {
            throw loneSurrogate(unit, at: start)
        }
        let low = try parseHexadecimal(bytes)
        guard (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
        else { throw loneSurrogate(unit, at: start) }
        return scalar
    }

    private func loneSurrogate(_ unit: UInt32, at offset: Int) -> Failure {
        failure(
            "a pair \\uD800–\\uDBFF, \\uDC00–\\uDFFF",
            found: "half a surrogate pair, \\u\(String(unit, radix: 16))", at: offset)
    }

    private mutating func parseHexadecimal(_ bytes: Span<UInt8>) throws(Failure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count,
                let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue
            else { throw failure("four hexadecimal digits after \\u") }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    /// A number: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
    mutating func parseNumber(_ bytes: Span<UInt8>) throws(Failure) -> JSONNumber {
        let start = position
        _ = consume(UInt8(ascii: "-"), bytes)
        if consume(UInt8(ascii: "0"), bytes) {
            if position < bytes.count, isDigit(bytes[position]) {
                throw failure("no digit after a leading zero")
            }
        } else {
            try parseDigits(bytes)
        }
        if consume(UInt8(ascii: "."), bytes) { try parseDigits(bytes) }
        if consume(UInt8(ascii: "e"), bytes) || consume(UInt8(ascii: "E"), bytes) {
            if !consume(UInt8(ascii: "+"), bytes) { _ = consume(UInt8(ascii: "-"), bytes) }
            try parseDigits(bytes)
        }
        return JSONNumber(spelling: makeString(bytes.extracting(start..<position)))
    }

    private mutating func parseDigits(_ bytes: Span<UInt8>) throws(Failure) {
        guard position < bytes.count, isDigit(bytes[position]) else { throw failure("a digit") }
        while position < bytes.count, isDigit(bytes[position]) { position += 1 }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") <= 9 }

    private func makeString(_ bytes: Span<UInt8>) -> String {
        // The text was validated as a whole, and a string ends at ASCII bytes.
        unsafe String(copying: UTF8Span(unchecked: bytes))
    }
}

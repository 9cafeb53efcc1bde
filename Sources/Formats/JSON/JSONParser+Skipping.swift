/// Finding a value without reading the others.
///
/// What is passed over has to be JSON as Python writes it: brackets, commas, colons and quotes are looked at, `NaN` and
/// `Infinity` are numbers, and escapes, halves of surrogate pairs among them, may be anything.
extension JSONParser {
    /// A member of an object: where its key stands, without quotes, and its value.
    struct Member {
        let key: Range<Int>
        let value: Range<Int>
    }

    /// Where the members of the object at the current position stand; the position is behind it afterwards.
    mutating func members(_ bytes: Span<UInt8>) throws(Failure) -> [Member] {
        try enter()
        var members: [Member] = []
        skipSpace(bytes)
        if consume(UInt8(ascii: "}"), bytes) { return leave(members) }
        while true {
            skipSpace(bytes)
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw failure("a key in double quotes")
            }
            let key = position + 1
            try skipString(bytes)
            let keyEnd = position - 1
            skipSpace(bytes)
            guard consume(UInt8(ascii: ":"), bytes) else { throw failure("\":\" after a key") }
            skipSpace(bytes)
            let value = position
            try skipValue(bytes)
            members.append(Member(key: key..<keyEnd, value: value..<position))
            skipSpace(bytes)
            if consume(UInt8(ascii: ","), bytes) { continue }
            if consume(UInt8(ascii: "}"), bytes) { return leave(members) }
            throw failure("\",\" or \"}\"")
        }
    }

    private mutating func skipValue(_ bytes: Span<UInt8>) throws(Failure) {
        guard position < bytes.count else { throw failure("a value") }
        switch bytes[position] {
        case UInt8(ascii: "\""): try skipString(bytes)
        case UInt8(ascii: "{"): _ = try members(bytes)
        case UInt8(ascii: "["): try skipArray(bytes)
        default: try skipWord(bytes)
        }
    }

    private mutating func skipArray(_ bytes: Span<UInt8>) throws(Failure) {
        try enter()
        skipSpace(bytes)
        if consume(UInt8(ascii: "]"), bytes) { return leave(()) }
        while true {
            skipSpace(bytes)
            try skipValue(bytes)
            skipSpace(bytes)
            if consume(UInt8(ascii: ","), bytes) { continue }
            if consume(UInt8(ascii: "]"), bytes) { return leave(()) }
            throw failure("\",\" or \"]\"")
        }
    }

    private mutating func skipString(_ bytes: Span<UInt8>) throws(Failure) {
        position += 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"): position += 2
            case 0x20...: position += 1
            default: throw controlCharacter(bytes[position])
            }
        }
        position = bytes.count
        throw failure("the string's closing quote")
    }

    /// A number, `true`, `false`, `null`, or one of the words that Python writes for what is no number.
    private mutating func skipWord(_ bytes: Span<UInt8>) throws(Failure) {
        for word in Self.words where bytes.hasBytes(word.span, at: position) {
            position += word.count
            return
        }
        switch bytes[position] {
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): _ = try parseNumber(bytes)
        default: throw failure("a value")
        }
    }

    private static let words = ["true", "false", "null", "NaN", "Infinity", "-Infinity"].map {
        Array($0.utf8)
    }
}

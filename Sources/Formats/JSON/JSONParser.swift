/// The parser behind ``JSON/init(parsing:file:duplicates:)``: recursive descent over bytes.
///
/// The bytes are an argument of every function because a span can't be stored.
struct JSONParser {
    /// The deepest nesting of arrays and objects.
    ///
    /// It is serde_json's, with which the reference implementations of our formats read, and it bounds the
    /// recursion here and when a value is freed.
    static let maximumDepth = 127

    private let duplicates: JSONDuplicates
    var position = 0
    private var depth = 0
    /// The keys and indices of the open containers; only filled when `duplicates` may ask for a path.
    private var path: [String] = []
    private let keepsPath: Bool
    /// The bytes of a string with escapes, kept between strings for its storage.
    var unescaped: [UInt8] = []

    init(duplicates: JSONDuplicates) {
        self.duplicates = duplicates
        keepsPath = if case .lastWins = duplicates { false } else { true }
    }

    /// Why and where parsing stopped.
    struct Failure: Error {
        enum Reason {
            /// `found` is nil where the byte at `offset` says it all.
            case syntax(found: String?, expected: String)
            case duplicate(path: [String])
        }
        let offset: Int
        let reason: Reason
    }

    /// A failure at `offset`, else at the current position.
    func failure(_ expected: String, found: String? = nil, at offset: Int? = nil) -> Failure {
        Failure(offset: offset ?? position, reason: .syntax(found: found, expected: expected))
    }

    /// A whole text: one value between white space.
    mutating func parseText(_ bytes: Span<UInt8>) throws(Failure) -> JSON {
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            throw failure("JSON without one", found: "a byte order mark")
        }
        do {
            _ = try UTF8Span(validating: bytes)
        } catch {
            let start = error.byteOffsets.lowerBound
            throw failure("UTF-8", found: "bytes that are not UTF-8 (\(error.kind))", at: start)
        }
        skipSpace(bytes)
        let value = try parseValue(bytes)
        skipSpace(bytes)
        guard position == bytes.count else { throw failure("nothing after the value") }
        return value
    }

    private mutating func parseValue(_ bytes: Span<UInt8>) throws(Failure) -> JSON {
        guard position < bytes.count else { throw failure("a value") }
        switch bytes[position] {
        case UInt8(ascii: "\""): return .string(try parseString(bytes))
        case UInt8(ascii: "{"): return .object(try parseObject(bytes))
        case UInt8(ascii: "["): return .array(try parseArray(bytes))
        case UInt8(ascii: "-") where position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "I"):
            return try parse(literal: "-Infinity", as: .number(JSONNumber(spelling: "-Infinity")), bytes)
        case UInt8(ascii: "I"):
            return try parse(literal: "Infinity", as: .number(JSONNumber(spelling: "Infinity")), bytes)
        case UInt8(ascii: "N"):
            return try parse(literal: "NaN", as: .number(JSONNumber(spelling: "NaN")), bytes)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try parseNumber(bytes))
        case UInt8(ascii: "t"): return try parse(literal: "true", as: .bool(true), bytes)
        case UInt8(ascii: "f"): return try parse(literal: "false", as: .bool(false), bytes)
        case UInt8(ascii: "n"): return try parse(literal: "null", as: .null, bytes)
        default: throw failure("a value")
        }
    }

    private mutating func parse(
        literal: String, as value: JSON, _ bytes: Span<UInt8>
    ) throws(Failure) -> JSON {
        let start = position
        for expected in literal.utf8 {
            guard position < bytes.count, bytes[position] == expected else {
                position = start
                throw failure("a value (\(literal)?)")
            }
            position += 1
        }
        return value
    }

    // MARK: Containers

    private mutating func parseArray(_ bytes: Span<UInt8>) throws(Failure) -> [JSON] {
        try enter()
        var elements: [JSON] = []
        skipSpace(bytes)
        if consume(UInt8(ascii: "]"), bytes) { return leave(elements) }
        while true {
            skipSpace(bytes)
            if keepsPath { path.append(String(elements.count)) }
            elements.append(try parseValue(bytes))
            if keepsPath { path.removeLast() }
            skipSpace(bytes)
            if consume(UInt8(ascii: ","), bytes) { continue }
            if consume(UInt8(ascii: "]"), bytes) { return leave(elements) }
            throw failure("\",\" or \"]\"")
        }
    }

    private mutating func parseObject(_ bytes: Span<UInt8>) throws(Failure) -> JSONObject {
        try enter()
        var members = JSONObject()
        skipSpace(bytes)
        if consume(UInt8(ascii: "}"), bytes) { return leave(members) }
        while true {
            skipSpace(bytes)
            let keyStart = position
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw failure("a key in double quotes")
            }
            let key = try parseString(bytes)
            skipSpace(bytes)
            guard consume(UInt8(ascii: ":"), bytes) else { throw failure("\":\" after the key \"\(key)\"") }
            skipSpace(bytes)
            if keepsPath { path.append(key) }
            let value = try parseValue(bytes)
            if let earlier = members.replace(key, with: value) {
                try accept(duplicateOf: earlier, at: keyStart)
            }
            if keepsPath { path.removeLast() }
            skipSpace(bytes)
            if consume(UInt8(ascii: ","), bytes) { continue }
            if consume(UInt8(ascii: "}"), bytes) { return leave(members) }
            throw failure("\",\" or \"}\"")
        }
    }

    private func accept(duplicateOf earlier: JSON, at offset: Int) throws(Failure) {
        let refused =
            switch duplicates {
            case .lastWins: false
            case .refused: true
            case .refusedWhere(let isRefused): isRefused(path, earlier)
            }
        if refused { throw Failure(offset: offset, reason: .duplicate(path: path)) }
    }

    mutating func enter() throws(Failure) {
        guard depth < Self.maximumDepth else {
            throw failure("at most \(Self.maximumDepth) levels of nesting", found: "one more")
        }
        depth += 1
        position += 1
    }

    mutating func leave<Value>(_ value: Value) -> Value {
        depth -= 1
        return value
    }

    // MARK: Bytes

    mutating func consume(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    mutating func skipSpace(_ bytes: Span<UInt8>) {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }
}

/// The key of a document's text in a line of JSON.
struct TextKey: Sendable {
    /// As it was given.
    let name: String
    /// Its parts, when a dot leads into an object inside.
    private let parts: [String]

    init(_ name: String) {
        self.name = name
        parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    }

    /// Why a line has no text.
    private enum Fault: Error {
        case syntax(JSONParser.Failure)
        /// What the line is instead.
        case found(String)
    }

    /// The text of a line, in UTF-8; nil when the line is blank.
    ///
    /// Only the key's own value is read; others may hold whatever Python writes.
    ///
    /// - Throws: ``UserFacingError`` that says what the line is instead.
    func text(
        ofLine line: Span<UInt8>, path: String, line number: Int
    ) throws(UserFacingError) -> [UInt8]? {
        var parser = JSONParser(duplicates: .lastWins)
        let mark = byteOrderMark
        if line.hasBytes(mark.span, at: 0) { parser.position = mark.count }
        parser.skipSpace(line)
        if parser.position == line.count { return nil }
        do throws(Fault) {
            return try text(line, &parser)
        } catch {
            let bytes = Array(copying: line)
            let invalid = firstInvalid(bytes)
            if invalid < bytes.count {
                throw .notUTF8(path: path, line: number, byte: invalid)
            }
            switch error {
            case .syntax(let failure):
                throw .notJSON(path: path, line: number, reason: failure.description(in: line))
            case .found(let found): throw .noText(path: path, line: number, found: found, key: name)
            }
        }
    }

    /// Where the value of the key stands in a line that has a text; nil in others.
    func place(ofLine line: Span<UInt8>) -> Range<Int>? {
        var parser = JSONParser(duplicates: .lastWins)
        let mark = byteOrderMark
        if line.hasBytes(mark.span, at: 0) { parser.position = mark.count }
        parser.skipSpace(line)
        return parser.position == line.count ? nil : try? place(line, &parser)
    }

    private func text(_ line: Span<UInt8>, _ parser: inout JSONParser) throws(Fault) -> [UInt8] {
        try string(place(line, &parser), line)
    }

    private func place(_ line: Span<UInt8>, _ parser: inout JSONParser) throws(Fault) -> Range<Int> {
        guard isUTF8(line) else { throw .found("bytes that are not UTF-8") }
        guard line[parser.position] == UInt8(ascii: "{") else {
            let other: JSON
            do { other = try parser.parseText(line) } catch { throw .syntax(error) }
            throw .found(other.kind)
        }
        var members = try self.members(line, &parser)
        parser.skipSpace(line)
        guard parser.position == line.count else { throw .syntax(parser.failure("nothing after the object")) }
        if let value = try value(of: name, members, line) { return value }
        guard parts.count > 1 else { throw .found(describe(members, line)) }
        for (index, part) in parts.enumerated() {
            guard let value = try value(of: part, members, line) else {
                throw .found(describe(members, line))
            }
            if index == parts.count - 1 { return value }
            guard line[value.lowerBound] == UInt8(ascii: "{") else {
                throw .found("an object whose \"\(part)\" is no object")
            }
            var inner = JSONParser(duplicates: .lastWins)
            inner.position = value.lowerBound
            members = try self.members(line, &inner)
        }
        throw .found(describe(members, line))
    }

    private func members(_ line: Span<UInt8>, _ parser: inout JSONParser) throws(Fault) -> [JSONParser.Member]
    {
        do { return try parser.members(line) } catch { throw .syntax(error) }
    }

    /// Where the value of a key stands; nil when the object has no such key.
    private func value(
        of key: String, _ members: [JSONParser.Member], _ line: Span<UInt8>
    ) throws(Fault) -> Range<Int>? {
        var found: Range<Int>?
        for member in members where isKey(key, line.extracting(member.key)) {
            guard found == nil else { throw .found("an object in which \"\(key)\" stands twice") }
            found = member.value
        }
        return found
    }

    /// Whether a key as it is written is the wanted one.
    private func isKey(_ key: String, _ written: Span<UInt8>) -> Bool {
        var hasEscape = false
        for index in written.indices where written[index] == UInt8(ascii: "\\") { hasEscape = true }
        guard hasEscape else {
            let bytes = Array(key.utf8)
            return written.count == bytes.count && written.hasBytes(bytes.span, at: 0)
        }
        let quoted = [UInt8(ascii: "\"")] + Array(copying: written) + [UInt8(ascii: "\"")]
        var parser = JSONParser(duplicates: .lastWins)
        return (try? parser.parseString(quoted.span)).map { $0.utf8.elementsEqual(key.utf8) } ?? false
    }

    /// The string that stands somewhere.
    private func string(_ place: Range<Int>, _ line: Span<UInt8>) throws(Fault) -> [UInt8] {
        var parser = JSONParser(duplicates: .lastWins)
        parser.position = place.lowerBound
        guard line[place.lowerBound] == UInt8(ascii: "\"") else {
            let value = line.extracting(place)
            parser.position = 0
            let kind = (try? parser.parseText(value).kind) ?? String(copying: value)
            throw .found("an object whose \"\(name)\" is \(kind)")
        }
        do {
            return Array(try parser.parseString(line).utf8)
        } catch {
            throw .found("an object whose \"\(name)\" can't be read: \(error.description(in: line))")
        }
    }

    /// What an object is, by its keys.
    private func describe(_ members: [JSONParser.Member], _ line: Span<UInt8>) -> String {
        if members.isEmpty { return "an object without keys" }
        let keys = members.prefix(10).map { String(copying: line.extracting($0.key)) }
        return "an object with the keys \(keys.joined(separator: ", "))" + (members.count > 10 ? ", …" : "")
    }
}

extension String {
    /// The text of bytes; what is no UTF-8 is replaced.
    fileprivate init(copying bytes: Span<UInt8>) {
        self = String(decoding: Array(copying: bytes.extracting(first: 200)), as: UTF8.self)
    }
}

/// How a text was made that nobody has written: what the key `synthetic` of its line says.
///
/// A line without the key, or with `false` or `null` for it, is of a text that somebody has written.
package enum Synthesis: UInt8, Sendable, CaseIterable {
    /// Knowledge triples, by templates.
    case triples = 1
    /// A model's own samples.
    case replay = 2
    /// Anything else that the key says, as `true`.
    case other = 3

    /// The key of the mark.
    package static let key = "synthetic"

    /// What the key says, and what reports call it.
    package var name: String {
        switch self {
        case .triples: "triples"
        case .replay: "replay"
        case .other: "other"
        }
    }

    private static let quotedKey = Array("\"\(key)\"".utf8)

    /// What a line says; nil where it says nothing of the kind.
    ///
    /// Of a key that stands there twice the last counts.
    init?(ofLine line: Span<UInt8>) {
        guard let value = Self.mark(ofLine: line) else { return nil }
        switch value {
        case .null, .bool(false): return nil
        case .string(Synthesis.triples.name): self = .triples
        case .string(Synthesis.replay.name): self = .replay
        default: self = .other
        }
    }

    /// The value of the mark's key, which stands in few lines.
    private static func mark(ofLine line: Span<UInt8>) -> JSON? {
        let (key, byteOrder) = (quotedKey, byteOrderMark)
        var isThere = false
        for index in line.indices where line[index] == UInt8(ascii: "\"") {
            guard line.hasBytes(key.span, at: index) else { continue }
            isThere = true
            break
        }
        guard isThere else { return nil }
        var parser = JSONParser(duplicates: .lastWins)
        if line.hasBytes(byteOrder.span, at: 0) { parser.position = byteOrder.count }
        parser.skipSpace(line)
        guard parser.position < line.count, let members = try? parser.members(line) else { return nil }
        var found: Range<Int>?
        for member in members where member.key.count == key.count - 2 {
            if line.hasBytes(key.span, at: member.key.lowerBound - 1) { found = member.value }
        }
        guard let found else { return nil }
        var value = JSONParser(duplicates: .lastWins)
        return try? value.parseText(line.extracting(found))
    }
}

extension DocumentBatch {
    /// How a text was made that nobody has written; nil where somebody has, and where nothing tells.
    package func synthesis(of index: Int) -> Synthesis? {
        guard let line = object(index) else { return nil }
        return Synthesis(ofLine: line.span)
    }
}

/// What a pre-tokenizer or normalizer looks for in a text.
enum TextPattern: Sendable {
    /// Given bytes, not none.
    case literal([UInt8])
    /// An Oniguruma expression.
    case expression(Expression)
    /// One character of a class.
    case character(CharacterClass)
    /// Runs of word characters, and runs of what is neither a word character nor white space.
    case wordRuns

    /// Reads `{"String": …}` or `{"Regex": …}`.
    init(_ field: TokenizerField) throws(UserFacingError) {
        if field["Regex"].json != nil {
            self = .expression(try Expression(try field["Regex"].string(), file: field.file))
        } else if field["String"].json != nil {
            let literal = Array(try field["String"].string().utf8)
            // An empty string is found between all characters, as the empty expression is.
            self = literal.isEmpty ? .expression(try Expression("", file: field.file)) : .literal(literal)
        } else {
            throw field.failure("{\"String\": …} or {\"Regex\": …}")
        }
    }

    /// Calls `body` with each match from left to right, and with the gaps between them.
    ///
    /// An empty match right after another match is passed over, so that there is always an end.
    func forEachPart(
        of text: Span<UInt8>, _ body: (_ range: Range<Int>, _ isMatch: Bool) -> Void
    ) throws(UserFacingError) {
        var done = 0
        var position = 0
        var hasMatched = false
        while position <= text.count, let match = try firstMatch(in: text, from: position) {
            if match.isEmpty, hasMatched, match.lowerBound == done {
                position =
                    match.lowerBound < text.count
                    ? match.lowerBound + text.scalar(at: match.lowerBound).length : text.count + 1
                continue
            }
            if done < match.lowerBound { body(done..<match.lowerBound, false) }
            body(match, true)
            done = match.upperBound
            position = match.upperBound
            hasMatched = true
        }
        if done < text.count { body(done..<text.count, false) }
    }

    /// The first match that begins at `start` or later.
    private func firstMatch(in text: Span<UInt8>, from start: Int) throws(UserFacingError) -> Range<Int>? {
        switch self {
        case .expression(let expression):
            return try expression.match(in: text, from: start)
        case .literal(let literal):
            var position = start
            while position + literal.count <= text.count {
                if text.hasBytes(literal.span, at: position) { return position..<(position + literal.count) }
                position += 1
            }
            return nil
        case .character(let characterClass):
            var position = start
            while position < text.count {
                let (scalar, length) = text.scalar(at: position)
                if characterClass.contains(scalar) { return position..<(position + length) }
                position += length
            }
            return nil
        case .wordRuns:
            return firstRun(in: text, from: start)
        }
    }

    private func firstRun(in text: Span<UInt8>, from start: Int) -> Range<Int>? {
        enum Kind { case space, word, other }
        func kind(_ value: UInt32) -> Kind {
            guard let scalar = Unicode.Scalar(value) else { return .other }
            return scalar.isWord ? .word : scalar.properties.isWhitespace ? .space : .other
        }
        var run: (start: Int, kind: Kind)?
        var position = start
        while position < text.count {
            let (scalar, length) = text.scalar(at: position)
            let kind = kind(scalar)
            if let run, run.kind != kind { return run.start..<position }
            if run == nil, kind != .space { run = (position, kind) }
            position += length
        }
        return run.map { $0.start..<text.count }
    }
}

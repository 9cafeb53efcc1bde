/// Changes text before it is divided into words.
indirect enum Normalizer: Sendable {
    case sequence([Normalizer])
    case unicode(UnicodeForm)
    case lowercase
    /// Removes white space at the ends.
    case strip(left: Bool, right: Bool)
    /// Puts a text before what is not empty.
    case prepend([UInt8])
    case replace(TextPattern, with: [UInt8])
    /// Writes each byte as its character of ``ByteAlphabet``.
    case writeBytes

    /// Reads `normalizer`; nil when it is missing or null.
    init?(_ field: TokenizerField) throws(TokenizerError) {
        guard let field = field.ifPresent else { return nil }
        let name = try field["type"].string()
        if let form = UnicodeForm(rawValue: name) {
            self = .unicode(form)
            return
        }
        switch name {
        case "Sequence":
            var normalizers: [Normalizer] = []
            for element in try field["normalizers"].elements() {
                if let normalizer = try Normalizer(element) { normalizers.append(normalizer) }
            }
            self = .sequence(normalizers)
        case "Lowercase":
            self = .lowercase
        case "Strip":
            self = .strip(left: try field["strip_left"].bool(), right: try field["strip_right"].bool())
        case "Prepend":
            self = .prepend(Array(try field["prepend"].string().utf8))
        case "Replace":
            self = .replace(
                try TextPattern(field["pattern"]), with: Array(try field["content"].string().utf8))
        case "ByteLevel":
            self = .writeBytes
        default:
            throw field.unsupported("the normalizer \"\(name)\"")
        }
    }

    /// The normalised text.
    func apply(to text: [UInt8]) throws(TokenizerError) -> [UInt8] {
        var isAtStart = true
        return try apply(to: text, &isAtStart)
    }

    /// The normalised text.
    ///
    /// - Parameters:
    ///   - text: UTF-8.
    ///   - isAtStart: becomes false when the text's beginning is removed.
    /// - Returns: UTF-8.
    /// - Throws: ``TokenizerError/pattern(file:pattern:reason:)`` when an expression gives up on the text.
    func apply(to text: [UInt8], _ isAtStart: inout Bool) throws(TokenizerError) -> [UInt8] {
        switch self {
        case .sequence(let normalizers):
            var text = text
            for normalizer in normalizers { text = try normalizer.apply(to: text, &isAtStart) }
            return text
        case .unicode(let form):
            return form.apply(to: text)
        case .lowercase:
            return lowercased(text)
        case .strip(let left, let right):
            let kept = rangeOfStripped(text.span, left: left, right: right)
            if kept.lowerBound > 0 { isAtStart = false }
            return Array(text[kept])
        case .prepend(let prefix):
            return text.isEmpty ? [] : prefix + text
        case .replace(.literal(let literal), let replacement):
            if replacement.isEmpty, text.starts(with: literal) { isAtStart = false }
            return text.replacing(literal, with: replacement)
        case .replace(let pattern, let replacement):
            var output: [UInt8] = []
            try pattern.forEachPart(of: text.span) { range, isMatch in
                if isMatch, replacement.isEmpty, range.lowerBound == 0, !range.isEmpty { isAtStart = false }
                output.append(contentsOf: isMatch ? replacement[...] : text[range])
            }
            return output
        case .writeBytes:
            var output: [UInt8] = []
            ByteAlphabet.encode(text.span, into: &output)
            return output
        }
    }
}

/// Each character's own lower case; no character looks at its neighbours (no final sigma).
private func lowercased(_ text: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(text.count)
    var index = 0
    while index < text.count {
        let (value, length) = text.span.scalar(at: index)
        if let scalar = Unicode.Scalar(value) {
            output.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
        }
        index += length
    }
    return output
}

private func rangeOfStripped(_ text: Span<UInt8>, left: Bool, right: Bool) -> Range<Int> {
    var start = 0
    var end = text.count
    while left, start < end {
        let (scalar, length) = text.scalar(at: start)
        guard CharacterClass.whitespace.contains(scalar) else { break }
        start += length
    }
    while right, start < end {
        let previous = text.start(before: end)
        guard CharacterClass.whitespace.contains(text.scalar(at: previous).value) else { break }
        end = previous
    }
    return start..<end
}

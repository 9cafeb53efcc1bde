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
    /// Removes combining marks.
    case stripAccents
    case bert(BertNormalizer)
    /// Removes control characters, and makes white space of what looks like it.
    case nmt
    case precompiled(PrecompiledMap)

    /// Reads `normalizer`; nil when it is missing or null.
    init?(_ field: TokenizerField) throws(UserFacingError) {
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
        case "StripAccents":
            self = .stripAccents
        case "BertNormalizer":
            self = .bert(try BertNormalizer(field))
        case "Nmt":
            self = .nmt
        case "Precompiled":
            self = .precompiled(try PrecompiledMap(field))
        default:
            throw field.unsupported("the normalizer \"\(name)\"")
        }
    }

    /// The same for a text that goes on from another: nothing is put before it.
    var continuing: Normalizer {
        switch self {
        case .prepend: .sequence([])
        case .sequence(let normalizers): .sequence(normalizers.map(\.continuing))
        default: self
        }
    }

    /// The normalised text.
    func apply(to text: [UInt8]) throws(UserFacingError) -> [UInt8] {
        var isAtStart = true
        return try apply(to: text, &isAtStart)
    }

    /// The normalised text.
    ///
    /// - Parameters:
    ///   - text: UTF-8.
    ///   - isAtStart: becomes false when the text's beginning is removed.
    /// - Returns: UTF-8.
    /// - Throws: ``UserFacingError`` when an expression gives up on the text.
    func apply(to text: [UInt8], _ isAtStart: inout Bool) throws(UserFacingError) -> [UInt8] {
        switch self {
        case .sequence(let normalizers):
            var text = text
            for normalizer in normalizers { text = try normalizer.apply(to: text, &isAtStart) }
            return text
        case .unicode(let form):
            return form.apply(to: text)
        case .lowercase:
            return text.lowercased
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
        case .stripAccents:
            return text.changingCharacters(&isAtStart) { CharacterClass.mark.contains($0) ? nil : $0 }
        case .bert(let normalizer):
            return normalizer.apply(to: text, &isAtStart)
        case .nmt:
            return text.changingCharacters(&isAtStart, cleanedForTranslation)
        case .precompiled(let map):
            return map.apply(to: text)
        }
    }
}

extension [UInt8] {
    /// Each character's own lower case; no character looks at its neighbours (no final sigma).
    var lowercased: [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(count)
        var index = 0
        while index < count {
            let (value, length) = span.scalar(at: index)
            if let scalar = Unicode.Scalar(value) {
                output.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
            }
            index += length
        }
        return output
    }
}

/// What a character becomes in SentencePiece's normalisation for machine translation; nil when it is removed.
///
/// Source: SentencePiece, `nmt_nfkc` of `builder.cc`.
private func cleanedForTranslation(_ value: UInt32) -> UInt32? {
    switch value {
    case 0x0001...0x0008, 0x000B, 0x000E...0x001F, 0x007F, 0x008F, 0x009F: nil
    case 0x0009, 0x000A, 0x000C, 0x000D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: 0x20
    default: value
    }
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

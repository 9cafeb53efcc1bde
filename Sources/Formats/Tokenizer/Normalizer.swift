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
        switch self {
        case .sequence(let normalizers):
            var text = text
            for normalizer in normalizers { text = try normalizer.apply(to: text) }
            return text
        case .unicode(let form):
            return form.apply(to: text)
        case .lowercase:
            return lowercased(text)
        case .strip(let left, let right):
            return stripped(text.span, left: left, right: right)
        case .prepend(let prefix):
            return text.isEmpty ? [] : prefix + text
        case .replace(.literal(let literal), let replacement):
            return text.replacing(literal, with: replacement)
        case .replace(let pattern, let replacement):
            var output: [UInt8] = []
            try pattern.forEachPart(of: text.span) { range, isMatch in
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

private func stripped(_ text: Span<UInt8>, left: Bool, right: Bool) -> [UInt8] {
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
    var output: [UInt8] = []
    output.append(text.extracting(start..<end))
    return output
}

/// Makes text of tokens.
///
/// Each kind changes the list of tokens; in the end they are joined.
indirect enum Decoder: Sendable {
    case sequence([Decoder])
    /// Reads characters of ``ByteAlphabet`` as bytes.
    case byteLevel
    /// Reads `<0x00>` … `<0xFF>` as bytes.
    case byteFallback
    /// Joins all tokens.
    case fuse
    /// Replaces in each token.
    case replace(TextPattern, with: [UInt8])
    /// Removes up to `start` characters at the front and `stop` at the end of each token.
    case strip(UInt32, start: Int, stop: Int)
    case metaspace(Metaspace)
    /// Makes a word's end mark a space, at the last token nothing.
    case wordEnd(suffix: [UInt8])
    /// Joins pieces that go on with a word, and puts spaces between words.
    case wordPiece(prefix: [UInt8], tidies: Bool)
    /// Leaves out repetitions and what stands between letters, as speech models write them.
    case alignment(padding: [UInt8], delimiter: [UInt8], tidies: Bool)

    /// Reads `decoder`; nil when it is missing or null.
    init?(_ field: TokenizerField) throws(UserFacingError) {
        guard let field = field.ifPresent else { return nil }
        switch try field["type"].string() {
        case "Sequence":
            var decoders: [Decoder] = []
            for element in try field["decoders"].elements() {
                if let decoder = try Decoder(element) { decoders.append(decoder) }
            }
            self = .sequence(decoders)
        case "ByteLevel":
            self = .byteLevel
        case "ByteFallback":
            self = .byteFallback
        case "Fuse":
            self = .fuse
        case "Replace":
            self = .replace(
                try TextPattern(field["pattern"]), with: Array(try field["content"].string().utf8))
        case "Strip":
            self = .strip(
                try field["content"].scalar().value, start: try field["start"].count(),
                stop: try field["stop"].count())
        case "Metaspace":
            self = .metaspace(try Metaspace(field))
        case "BPEDecoder":
            self = .wordEnd(suffix: Array(try field["suffix"].string().utf8))
        case "WordPiece":
            self = .wordPiece(
                prefix: Array(try field["prefix"].string().utf8), tidies: try field["cleanup"].bool())
        case "CTC":
            self = .alignment(
                padding: try field["pad_token"].text(), delimiter: try field["word_delimiter_token"].text(),
                tidies: try field["cleanup"].bool())
        case let name:
            throw field.unsupported("the decoder \"\(name)\"")
        }
    }

    /// The tokens' text, as parts to be joined.
    func apply(to tokens: [[UInt8]]) throws(UserFacingError) -> [[UInt8]] {
        switch self {
        case .sequence(let decoders):
            var tokens = tokens
            for decoder in decoders { tokens = try decoder.apply(to: tokens) }
            return tokens
        case .byteLevel:
            let raw = tokens.flatMap { ByteAlphabet.decode($0.span) ?? $0 }
            return [Array(String(decoding: raw, as: UTF8.self).utf8)]
        case .byteFallback:
            return readingBytes(tokens)
        case .fuse:
            return [tokens.flatMap { $0 }]
        case .replace(.literal(let literal), let replacement):
            return tokens.map { $0.replacing(literal, with: replacement) }
        case .replace(let pattern, let replacement):
            return try replaced(tokens, pattern, replacement)
        case .strip(let scalar, let start, let stop):
            return tokens.map { stripped($0.span, scalar, start, stop) }
        case .metaspace(let metaspace):
            return tokens.enumerated().map { metaspace.read($1, isFirst: $0 == 0) }
        case .wordEnd(let suffix):
            guard !suffix.isEmpty else { return tokens }
            return tokens.enumerated().map { index, token in
                token.replacing(suffix, with: index + 1 < tokens.count ? [UInt8(ascii: " ")] : [])
            }
        case .wordPiece(let prefix, let tidies):
            return tokens.enumerated().map { index, token in
                let text = index == 0 ? token : spaced(token, prefix)
                return tidies ? tidied(text) : text
            }
        case .alignment(let padding, let delimiter, let tidies):
            return tokens.indices.compactMap { index in
                if index > 0, tokens[index] == tokens[index - 1] { return nil }
                var text = tokens[index].replacing(padding, with: [])
                if tidies { text = tidied(text).replacing(delimiter, with: [UInt8(ascii: " ")]) }
                return text.isEmpty ? nil : text
            }
        }
    }
}

/// A word piece without its prefix, or a word with a space before it.
private func spaced(_ token: [UInt8], _ prefix: [UInt8]) -> [UInt8] {
    token.starts(with: prefix) ? Array(token.dropFirst(prefix.count)) : [UInt8(ascii: " ")] + token
}

/// The text without the spaces that word pieces leave before punctuation and in English contractions.
private func tidied(_ text: [UInt8]) -> [UInt8] {
    guard text.contains(UInt8(ascii: " ")) else { return text }
    let artifacts = [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ]
    return artifacts.reduce(text) { $0.replacing(Array($1.0.utf8), with: Array($1.1.utf8)) }
}

private func replaced(
    _ tokens: [[UInt8]], _ pattern: TextPattern, _ replacement: [UInt8]
) throws(UserFacingError) -> [[UInt8]] {
    var outputs: [[UInt8]] = []
    for token in tokens {
        var output: [UInt8] = []
        try pattern.forEachPart(of: token.span) { range, isMatch in
            output.append(contentsOf: isMatch ? replacement[...] : token[range])
        }
        outputs.append(output)
    }
    return outputs
}

private func stripped(_ token: Span<UInt8>, _ scalar: UInt32, _ start: Int, _ stop: Int) -> [UInt8] {
    var front = 0
    var end = token.count
    for _ in 0..<start {
        guard front < end, token.scalar(at: front).value == scalar else { break }
        front += token.scalar(at: front).length
    }
    for _ in 0..<stop {
        guard front < end, token.scalar(at: token.start(before: end)).value == scalar else { break }
        end = token.start(before: end)
    }
    return Array(copying: token.extracting(front..<end))
}

/// Joins runs of byte tokens to text; a run that is not UTF-8 becomes one replacement character a byte.
private func readingBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
    var output: [[UInt8]] = []
    var run: [UInt8] = []
    func endRun() {
        guard !run.isEmpty else { return }
        if String(validating: run, as: UTF8.self) != nil {
            output.append(run)
        } else {
            output.append(contentsOf: repeatElement(Array("\u{FFFD}".utf8), count: run.count))
        }
        run.removeAll()
    }
    for token in tokens {
        if let byte = byte(named: token) {
            run.append(byte)
        } else {
            endRun()
            output.append(token)
        }
    }
    endRun()
    return output
}

/// The byte that a token `<0x…>` names.
private func byte(named token: [UInt8]) -> UInt8? {
    guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else { return nil }
    return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
}

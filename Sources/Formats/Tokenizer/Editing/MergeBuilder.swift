/// Makes merges that lead to given strings.
struct MergeBuilder {
    private let tokenizer: Tokenizer
    private let spelling: TokenSpelling
    private(set) var result = VocabularyExtension()
    private var ids = ByteStringTable()
    /// The rank and the outcome of each new merge.
    private var merges: [UInt64: (rank: Int, id: Int32)] = [:]

    init(_ tokenizer: Tokenizer) throws(UserFacingError) {
        self.tokenizer = tokenizer
        spelling = try TokenSpelling(tokenizer)
    }

    /// Whether a string is a token already, spelled as the vocabulary spells it.
    func isToken(_ string: String) -> Bool {
        if tokenizer.vocabulary.id(of: spelled(string).span) != nil { return true }
        return tokenizer.id(of: string).flatMap { tokenizer.addedToken($0) } != nil
    }

    /// Adds what leads to a string.
    ///
    /// - Returns: why nothing can; nil when it was added.
    mutating func add(_ string: String) -> String? {
        let text = spelled(string)
        guard spelling.standsAlone(text) else {
            return
                "the tokenizer divides it into several words before it merges; add it with --tokens-as added"
        }
        var pieces: [Int32] = []
        spelling.forEachPart(of: encodable(string).span) { range, missing in
            if missing != nil {
                pieces.append(addToken(Array(encodable(string)[range])))
            } else {
                pieces += tokenizer.pieces(of: Array(bytes(string)[range]))
            }
        }
        merge(&pieces)
        while pieces.count > 1 {
            let joined = self.text(of: pieces[0]) + self.text(of: pieces[1])
            guard tokenizer.vocabulary.id(of: joined.span) == nil else {
                return
                    "on the way to it \"\(String(decoding: joined, as: UTF8.self))\" would merge, which is an old token that text would then be encoded with; add it with --tokens-as added"
            }
            let id = addToken(joined)
            merges[key(pieces[0], pieces[1])] = (result.merges.count, id)
            result.merges.append(
                .init(
                    left: String(decoding: self.text(of: pieces[0]), as: UTF8.self),
                    right: String(decoding: self.text(of: pieces[1]), as: UTF8.self)))
            pieces.replaceSubrange(0..<2, with: [id])
            merge(&pieces)
        }
        return nil
    }

    /// Applies the new merges, the earliest first.
    private func merge(_ pieces: inout [Int32]) {
        while true {
            var best: (rank: Int, id: Int32, place: Int)?
            for place in 0..<max(pieces.count - 1, 0) {
                guard let merge = merges[key(pieces[place], pieces[place + 1])] else { continue }
                if best.map({ merge.rank < $0.rank }) ?? true { best = (merge.rank, merge.id, place) }
            }
            guard let best else { return }
            pieces.replaceSubrange(best.place..<best.place + 2, with: [best.id])
        }
    }

    private mutating func addToken(_ text: [UInt8]) -> Int32 {
        if let known = ids.index(of: text.span) { return Int32(tokenizer.largestID + 1 + known) }
        let id = Int32(tokenizer.largestID + 1 + ids.insert(text.span))
        result.tokens.append(.init(id: id, spelling: String(decoding: text, as: UTF8.self)))
        return id
    }

    private func text(of id: Int32) -> [UInt8] {
        let number = Int(id) - tokenizer.largestID - 1
        return number >= 0
            ? Array(result.tokens[number].spelling.utf8) : Array((tokenizer.token(of: id) ?? "").utf8)
    }

    private func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// As the vocabulary spells it.
    private func spelled(_ string: String) -> [UInt8] {
        let bytes = bytes(string)
        guard spelling.isByteLevel else { return bytes }
        var text: [UInt8] = []
        ByteAlphabet.encode(bytes.span, into: &text)
        return text
    }

    /// As it comes to the model.
    private func encodable(_ string: String) -> [UInt8] { bytes(string) }

    private func bytes(_ string: String) -> [UInt8] {
        let bytes = Array(string.utf8)
        return spelling.isByteLevel ? bytes : bytes.replacing([UInt8(ascii: " ")], with: Tokenizer.spaceMark)
    }
}

/// Learns merges from counted words.
struct MergeLearner {
    /// A pair that comes less often teaches nothing.
    private static let leastCount = 2

    private let tokenizer: Tokenizer
    private let spelling: TokenSpelling
    private var index = PairIndex()
    private var queue = CandidateQueue()
    private var missing = MissingCharacters()
    private var learned = LearnedTokens()
    /// The new tokens' spellings; a token's number is its id less those that there were.
    private var spellings = ByteStringTable()

    /// Encodes the words and finds their pairs.
    ///
    /// - Throws: ``UserFacingError`` for vocabularies that mark where in a word a piece stands.
    init(_ tokenizer: Tokenizer, _ words: WordCounts) throws(UserFacingError) {
        self.tokenizer = tokenizer
        spelling = try TokenSpelling(tokenizer)
        var workspace = Tokenizer.WordWorkspace()
        for (number, count) in words.counts.enumerated() {
            words.words.withString(number) { append($0, count: count, &workspace) }
        }
        index.finish()
        learned.distinctWords = words.counts.count
        learned.textBytes = words.textBytes
        learned.tokensBefore = index.symbolCount
    }

    /// Learns up to so many tokens; fewer when the words have no more to give.
    ///
    /// - Throws: ``UserFacingError`` when it was stopped.
    mutating func learn(_ count: Int, isCancelled: () -> Bool) throws(UserFacingError) -> LearnedTokens {
        index.pairs.indices.forEach { enter($0) }
        for (scalar, saving) in missing.savings { queue.push(.init(saving: saving, left: -1, right: scalar)) }
        while learned.tokens.count < count, let candidate = queue.pop() {
            if isCancelled() { throw .interrupted("; nothing was learned, begin again") }
            if candidate.left < 0 {
                addCharacter(candidate)
            } else if let number = index.number(candidate.left, candidate.right) {
                // What was merged since may have made it less frequent.
                let now = index.pairs[number].count
                if now == candidate.saving {
                    addPair(candidate, number)
                } else if now < candidate.saving {
                    enter(number)
                }
            }
        }
        learned.tokensAfter = index.symbolCount
        learned.counts = index.counts(from: Int32(tokenizer.vocabulary.count), count: learned.tokens.count)
        return learned
    }

    private mutating func enter(_ number: Int) {
        let pair = index.pairs[number]
        guard pair.count >= Self.leastCount else { return }
        queue.push(.init(saving: pair.count, left: pair.left, right: pair.right))
    }

    // MARK: Words

    private mutating func append(
        _ word: Span<UInt8>, count: Int, _ workspace: inout Tokenizer.WordWorkspace
    ) {
        let first = index.positionCount
        var symbols: [Int32] = []
        var extra = 0
        spelling.forEachPart(of: word) { range, missingCharacter in
            if let missingCharacter {
                let tokens = spelling.tokens(forMissing: range.count)
                missing.add(missingCharacter, at: first + symbols.count, tokens: tokens, count: count)
                extra += (tokens - 1) * count
                symbols.append(PairIndex.gap)
            } else {
                let start = symbols.count
                tokenizer.encode(word: word.extracting(range), into: &symbols, &workspace)
                for place in start..<symbols.count where !spelling.isJoinable(symbols[place]) {
                    symbols[place] = PairIndex.gap
                }
            }
        }
        index.append(symbols, count: count)
        index.shorten(by: -extra)
    }

    // MARK: Tokens

    private mutating func addCharacter(_ candidate: CandidateQueue.Candidate) {
        guard let found = missing.characters[candidate.right],
            let scalar = Unicode.Scalar(UInt32(candidate.right))
        else { return }
        let text = Array(String(Character(scalar)).utf8)
        guard spelling.standsAlone(text) else { return }
        let id = addToken(text, saving: candidate.saving)
        index.shorten(by: found.saved)
        index.replace(at: found.places, with: id).forEach { enter($0) }
    }

    private mutating func addPair(_ candidate: CandidateQueue.Candidate, _ number: Int) {
        let text = self.text(of: candidate.left) + self.text(of: candidate.right)
        if let known = spellings.index(of: text.span) {
            // Another pair makes the same token: a merge more, no token more.
            join(candidate.left, candidate.right, into: Int32(tokenizer.vocabulary.count + known))
            return
        }
        // A pair that makes an old token would change text to which no new token applies.
        guard tokenizer.vocabulary.id(of: text.span) == nil, spelling.standsAlone(text) else { return }
        let id = addToken(text, saving: candidate.saving)
        for (left, right) in splits(of: text, or: (candidate.left, candidate.right)) {
            join(left, right, into: id)
        }
    }

    private mutating func addToken(_ text: [UInt8], saving: Int) -> Int32 {
        let id = Int32(tokenizer.vocabulary.count + learned.tokens.count)
        spellings.insert(text.span)
        learned.tokens.append(.init(id: id, spelling: String(decoding: text, as: UTF8.self), saving: saving))
        return id
    }

    private mutating func join(_ left: Int32, _ right: Int32, into id: Int32) {
        learned.merges.append(.init(left: left, right: right, joined: id))
        guard let number = index.number(left, right) else { return }
        index.merge(number, into: id).forEach { enter($0) }
    }

    /// The pairs that make a token.
    ///
    /// SentencePiece joins any two neighbours that make a piece; so that tokenizer.model and tokenizer.json agree, all
    /// of them become merges there, in the order of their ids, as converting tokenizer.model gives them.
    private func splits(of text: [UInt8], or pair: (Int32, Int32)) -> [(Int32, Int32)] {
        guard spelling.joinsEverySplit else { return [pair] }
        var found: [(Int32, Int32)] = []
        for place in 1..<text.count where text[place] & 0xC0 != 0x80 {
            guard let left = id(of: text[..<place]), let right = id(of: text[place...]) else { continue }
            found.append((left, right))
        }
        return found.sorted { $0 < $1 }
    }

    private func id(of text: ArraySlice<UInt8>) -> Int32? {
        let text = Array(text)
        if let number = spellings.index(of: text.span) { return Int32(tokenizer.vocabulary.count + number) }
        return tokenizer.vocabulary.modelID(of: text.span).flatMap { spelling.isJoinable($0) ? $0 : nil }
    }

    private func text(of id: Int32) -> [UInt8] {
        let number = Int(id) - tokenizer.vocabulary.count
        if number >= 0 { return Array(learned.tokens[number].spelling.utf8) }
        return Array(tokenizer.vocabulary.tokens[Int(id)].utf8)
    }
}

/// The characters of a corpus that are no tokens.
private struct MissingCharacters {
    /// Where a character stands, and how many tokens it would save as a token.
    struct Found {
        var places: [Int32] = []
        var count = 0
        var saved = 0
        /// Where one token stands for any unknown character, telling it apart is worth as much as a merge.
        var saving: Int { max(saved, count) }
    }

    private(set) var characters: [Int32: Found] = [:]

    /// The saving of each.
    var savings: [(scalar: Int32, saving: Int)] { characters.map { ($0.key, $0.value.saving) } }

    mutating func add(_ scalar: Int32, at position: Int, tokens: Int, count: Int) {
        characters[scalar, default: Found()].places.append(Int32(position))
        characters[scalar, default: Found()].count += count
        characters[scalar, default: Found()].saved += (tokens - 1) * count
    }
}

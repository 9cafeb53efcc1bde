extension BytePairEncoding {
    /// Appends the ids of a word, which is not empty, to `ids`.
    func encode(_ word: Span<UInt8>, into ids: inout [Int32], _ symbols: inout MergingWord) {
        if let id = wholeWords?.id(of: word) {
            ids.append(id)
        } else {
            begin(word, &symbols)
            symbols.mergeAll(merges)
            symbols.append(to: &ids)
        }
    }

    /// Sets `symbols` to the tokens that a word begins as.
    private func begin(_ word: Span<UInt8>, _ symbols: inout MergingWord) {
        symbols.removeAll()
        guard let byteTokens else {
            beginCharacters(word, &symbols)
            return
        }
        if continuationPrefix.isEmpty, endSuffix.isEmpty {
            let tokens = byteTokens.span
            for index in word.indices {
                let token = tokens[Int(word[index])]
                if token < 0 { break }
                symbols.append(token)
            }
            if symbols.count == word.count { return }
            symbols.removeAll()
        }
        var text: [UInt8] = []
        ByteAlphabet.encode(word, into: &text)
        beginCharacters(text.span, &symbols)
    }

    private func beginCharacters(_ word: Span<UInt8>, _ symbols: inout MergingWord) {
        var pendingUnknowns = 0
        var index = 0
        while index < word.count {
            let (scalar, length) = word.scalar(at: index)
            let start = index
            index += length
            if let token = token(of: scalar, word, start..<index) {
                for _ in 0..<pendingUnknowns { symbols.append(unknown.token ?? 0) }
                pendingUnknowns = 0
                symbols.append(token)
            } else if appendBytes(of: word, start..<index, &symbols) {
                // Unknown characters that wait stay waiting, as in the reference.
            } else if unknown.token != nil {
                pendingUnknowns = unknown.isFused ? 1 : pendingUnknowns + 1
            }
        }
        for _ in 0..<pendingUnknowns { symbols.append(unknown.token ?? 0) }
    }

    private func token(of scalar: UInt32, _ word: Span<UInt8>, _ range: Range<Int>) -> Int32? {
        let spelled = spelling(of: word, range)
        if let spelled { return vocabulary.modelID(of: spelled.span) }
        if Int(scalar) < characterTokens.count {
            let token = characterTokens[Int(scalar)]
            return token < 0 ? nil : token
        }
        return vocabulary.modelID(of: word.extracting(range))
    }

    /// A character with what is put around it, or nil when that is nothing.
    private func spelling(of word: Span<UInt8>, _ range: Range<Int>) -> [UInt8]? {
        let hasPrefix = !continuationPrefix.isEmpty && range.lowerBound > 0
        let hasSuffix = !endSuffix.isEmpty && range.upperBound == word.count
        guard hasPrefix || hasSuffix else { return nil }
        var spelled = hasPrefix ? continuationPrefix : []
        spelled.append(word.extracting(range))
        if hasSuffix { spelled.append(contentsOf: endSuffix) }
        return spelled
    }

    /// Appends the tokens of a character's bytes, when there is one for each.
    private func appendBytes(
        of word: Span<UInt8>, _ range: Range<Int>, _ symbols: inout MergingWord
    ) -> Bool {
        guard let tokens = unknown.bytes else { return false }
        func append(_ bytes: Span<UInt8>) -> Bool {
            for index in bytes.indices where tokens[Int(bytes[index])] < 0 { return false }
            for index in bytes.indices { symbols.append(tokens[Int(bytes[index])]) }
            return true
        }
        if let spelled = spelling(of: word, range) { return append(spelled.span) }
        return append(word.extracting(range))
    }
}

extension SentencePieceModel {
    /// Refuses what a byte-pair encoding of Hugging Face's can't do alike.
    ///
    /// - Throws: ``UserFacingError``.
    package func checkConvertible() throws(UserFacingError) {
        let kinds = ["no type", "Unigram", "byte-pair encoding", "words", "characters"]
        let kind = Int(training.modelType)
        if training.modelType != 2 {
            throw .malformed(
                file: file,
                found: kinds.indices.contains(kind)
                    ? "a model of the kind \(kinds[kind])" : "an unknown kind",
                expected: "byte-pair encoding, which alone is converted")
        }
        if training.putsSpacesBehind || !normalization.marksSpaces {
            throw .malformed(
                file: file, found: "spaces that stand behind words or are not marked",
                expected: "a mark before each word")
        }
    }

    /// The merges that lead to the pieces: for each piece every division into two pieces, the shorter left part first, and
    /// pieces with high scores first, as SentencePiece joins any two neighbours that make a piece.
    ///
    /// They are the merges that transformers makes of the file, in the same order.
    package var merges: [VocabularyExtension.Merge] {
        var table = ByteStringTable(capacity: count)
        for piece in pieces { _ = table.insert(Array(piece.text.utf8).span) }
        var found: [(merge: VocabularyExtension.Merge, score: Float)] = []
        for piece in pieces where piece.kind == .normal || piece.kind == .userDefined {
            let scalars = piece.text.unicodeScalars
            for place in scalars.indices.dropFirst() {
                let (left, right) = (String(scalars[..<place]), String(scalars[place...]))
                guard table.index(of: Array(left.utf8).span) != nil,
                    table.index(of: Array(right.utf8).span) != nil
                else { continue }
                found.append((VocabularyExtension.Merge(left: left, right: right), piece.score))
            }
        }
        let order = found.indices.sorted { one, other in
            let (a, b) = (found[one].score, found[other].score)
            return a != b ? a > b : one < other
        }
        return order.map { found[$0].merge }
    }
}

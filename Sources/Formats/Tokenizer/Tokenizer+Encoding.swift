private import Synchronization

extension Tokenizer {
    /// The ids of a text.
    ///
    /// - Parameters:
    ///   - text: any text.
    ///   - addSpecialTokens: whether the post-processor's special tokens are put around it.
    /// - Returns: the ids, each below the number of tokens.
    /// - Throws: ``TokenizerError/pattern(file:pattern:reason:)`` when an expression gives up on the text.
    public func encode(_ text: String, addSpecialTokens: Bool = true) throws(TokenizerError) -> [Int32] {
        var workspace = workspaces.take()
        var ids: [Int32] = []
        ids.reserveCapacity(text.utf8.count / 3)
        try encode(Array(text.utf8), into: &ids, &workspace)
        workspaces.give(workspace)
        return addSpecialTokens ? postProcessor.apply(to: ids) : ids
    }

    private func encode(
        _ bytes: [UInt8], into ids: inout [Int32], _ workspace: inout BytePairEncoding.Workspace
    ) throws(TokenizerError) {
        var text = PieceText(bytes)
        addedTokens.original.divide(&text)
        if let normalizer {
            try text.rewritePieces { piece, isAtStart, output throws(TokenizerError) in
                output.append(contentsOf: try normalizer.apply(to: Array(copying: piece), &isAtStart))
            }
        }
        addedTokens.normalized.divide(&text)
        try preTokenizer.apply(to: &text)
        let span = text.bytes.span
        for piece in text.pieces {
            if piece.token >= 0 {
                ids.append(piece.token)
            } else {
                model.encode(span.extracting(piece.start..<piece.end), into: &ids, &workspace)
            }
        }
    }
}

/// Storage for encoding, one for each call that runs at the same time.
final class WorkspacePool: Sendable {
    private let free = Mutex<[BytePairEncoding.Workspace]>([])

    /// One that nobody else uses.
    func take() -> BytePairEncoding.Workspace { free.withLock { $0.popLast() } ?? .init() }

    /// Makes one available again.
    func give(_ workspace: consuming BytePairEncoding.Workspace) {
        let workspace = workspace
        free.withLock { $0.append(workspace) }
    }
}

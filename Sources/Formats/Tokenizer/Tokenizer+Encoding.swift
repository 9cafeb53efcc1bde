extension Tokenizer {
    /// The ids of a text.
    ///
    /// - Parameters:
    ///   - text: any text.
    ///   - addSpecialTokens: whether the post-processor's special tokens are put around it.
    /// - Returns: the ids, each below the number of tokens.
    /// - Throws: ``UserFacingError`` when an expression gives up on the text.
    public func encode(_ text: String, addSpecialTokens: Bool = true) throws(UserFacingError) -> [Int32] {
        var workspace = workspaces.take()
        var ids: [Int32] = []
        ids.reserveCapacity(text.utf8.count / 3)
        defer { workspaces.give(workspace) }
        try encode(Array(text.utf8), into: &ids, &workspace)
        return addSpecialTokens ? postProcessor.apply(to: ids) : ids
    }

    /// The ids of many texts, encoded by several threads at once.
    ///
    /// - Parameters:
    ///   - texts: any texts.
    ///   - addSpecialTokens: whether the post-processor's special tokens are put around each.
    ///   - threads: the most threads that work.
    /// - Returns: each text's ids, in the texts' order.
    /// - Throws: the first text's ``UserFacingError`` that can't be encoded.
    public func encode(
        _ texts: [String], addSpecialTokens: Bool = true, threads: Int
    ) throws(UserFacingError) -> [[Int32]] {
        try mapConcurrently(texts.count, threads: threads) { index throws(UserFacingError) in
            try encode(texts[index], addSpecialTokens: addSpecialTokens)
        }
    }

    private func encode(
        _ bytes: [UInt8], into ids: inout [Int32], _ workspace: inout TokenModel.Workspace
    ) throws(UserFacingError) {
        let text = try words(of: bytes)
        let span = text.bytes.span
        for piece in text.pieces {
            if piece.token >= 0 {
                ids.append(piece.token)
            } else {
                try model.encode(span.extracting(piece.start..<piece.end), into: &ids, &workspace)
            }
        }
    }
}

/// Storage for encoding, one for each call that runs at the same time.
final class WorkspacePool: Sendable {
    private let free = Guarded<[TokenModel.Workspace]>([])

    /// One that nobody else uses.
    func take() -> TokenModel.Workspace { free.withLock { $0.popLast() } ?? .init() }

    /// Makes one available again.
    func give(_ workspace: TokenModel.Workspace) {
        free.withLock { $0.append(workspace) }
    }
}

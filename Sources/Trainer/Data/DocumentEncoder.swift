internal import Formats

/// Turns a file's documents into tokens of a model.
struct DocumentEncoder: Sendable {
    let file: DocumentFile
    let tokenizer: Tokenizer
    /// Rows of the model's embedding.
    let rows: Int
    /// What ends a document, where the tokenizer itself marks neither its start nor its end.
    let separator: Int32?

    /// The tokens of one document, as the tokenizer encodes it, and the separator.
    func tokens(_ index: Int) throws(DataError) -> [Int32] {
        let text = try file.text(index)
        var tokens = try encode(text)
        if let separator, !tokens.isEmpty { tokens.append(separator) }
        try requireRows(for: tokens)
        return tokens
    }

    /// The tokens of all documents, one after the other, without separators, and the bytes of their text.
    func allTokens() throws(DataError) -> (tokens: [Int32], bytes: Int) {
        var tokens: [Int32] = []
        var bytes = 0
        for index in 0..<file.count {
            let text = try file.text(index)
            tokens += try encode(text)
            bytes += text.utf8.count
        }
        try requireRows(for: tokens)
        return (tokens, bytes)
    }

    private func requireRows(for tokens: [Int32]) throws(DataError) {
        if let bad = tokens.first(where: { $0 < 0 || $0 >= rows }) {
            throw .tokenOutOfRange(path: file.path, token: Int(bad), rows: rows)
        }
    }

    private func encode(_ text: String) throws(DataError) -> [Int32] {
        do { return try tokenizer.encode(text) } catch {
            throw .tokenizer(path: file.path, reason: error.description)
        }
    }

    /// What should end a document: nothing where the tokenizer marks documents itself, else `endOfText`.
    static func separator(of tokenizer: Tokenizer, endOfText: Int?) throws(DataError) -> Int32? {
        let marks: Bool
        do {
            marks =
                try tokenizer.encode("", addSpecialTokens: true)
                != tokenizer.encode("", addSpecialTokens: false)
        } catch {
            throw .tokenizer(path: "tokenizer.json", reason: error.description)
        }
        return marks ? nil : endOfText.map(Int32.init)
    }
}

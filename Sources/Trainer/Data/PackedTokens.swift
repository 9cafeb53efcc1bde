internal import Formats

/// Documents as tokens, in a file or in a folder of shards, of which memory holds what is looked at.
struct PackedTokens: Sendable {
    /// The path as it was given.
    let path: String
    /// How many documents there are.
    let count: Int
    /// The SHA-256 of the tokenizer that made the tokens.
    let tokenizer: String
    private let files: [PackedFile]
    /// The first document of each file.
    private let starts: [Int]

    /// Whether a path is one of tokens, and no text: a `.safetensors`, or a folder with a shard.
    static func isPacked(_ path: String) -> Bool {
        if path.hasSuffix(PackedFile.ending) { return true }
        guard FileSystem.kind(of: path) == .folder, let names = try? FileSystem.names(path) else {
            return false
        }
        return names.contains { TokenShard.Name($0) != nil }
    }

    /// Opens a file, or a folder with all its shards, and checks that all parts fit together.
    ///
    /// - Throws: ``UserFacingError`` that says what is in its place, which shards are missing, or which was made
    ///   otherwise.
    init(path: String) throws(UserFacingError) {
        var files: [PackedFile] = []
        if FileSystem.kind(of: path) == .folder {
            for name in try Self.shardNames(inFolder: path) {
                let file = try PackedFile(path: Path.join(path, name.text))
                try file.checkShard(name, like: files.first)
                files.append(file)
            }
        } else {
            files = [try PackedFile(path: path)]
        }
        var (starts, count): ([Int], Int) = ([], 0)
        for file in files {
            starts.append(count)
            count += file.count
        }
        guard let first = files.first, count > 0 else { throw .noTokens(path: path) }
        (self.path, self.files, self.starts) = (path, files, starts)
        (self.count, tokenizer) = (count, first.tokenizer)
    }

    /// The names of all shards of a folder.
    private static func shardNames(inFolder path: String) throws(UserFacingError) -> [TokenShard.Name] {
        let names = try FileSystem.names(path).compactMap(TokenShard.Name.init)
        guard let first = names.first else { throw .badTokens(path: path, found: "no shard") }
        if let other = names.first(where: { $0.count != first.count }) {
            throw .otherShards(path: path, first.text, other.text)
        }
        let all = (0..<first.count).map { TokenShard.Name(number: $0, count: first.count) }
        let missing = Set(all).subtracting(names).map(\.text).sorted()
        guard missing.isEmpty else { throw .missingShards(path: path, missing, of: first.count) }
        return all
    }

    /// How many tokens a document has.
    func tokenCount(_ index: Int) -> Int {
        let (file, document) = place(index)
        return file.tokenCount(document)
    }

    /// The tokens of a document.
    func tokens(_ index: Int) -> [Int32] {
        let (file, document) = place(index)
        return file.tokens(document)
    }

    /// The bytes of a document's text.
    func byteCount(_ index: Int) -> Int {
        let (file, document) = place(index)
        return file.byteCount(document)
    }

    /// Whether any document is marked as synthetic.
    var hasSynthetic: Bool { files.contains(where: \.hasSynthetic) }

    /// Whether a document is marked as synthetic.
    func isSynthetic(_ index: Int) -> Bool {
        let (file, document) = place(index)
        return file.isSynthetic(document)
    }

    /// In which file a document lies, and its number there.
    private func place(_ index: Int) -> (file: PackedFile, document: Int) {
        var (low, high) = (0, files.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if starts[middle] <= index { low = middle } else { high = middle - 1 }
        }
        return (files[low], index - starts[low])
    }

    /// What is in the files, by which a kept run knows them again.
    func content() throws(UserFacingError) -> TextContent {
        var (size, digests): (Int, [String]) = (0, [])
        for file in files {
            let input = try InputFile(path: file.path)
            size += input.size
            digests.append(try FileDigest.sha256(input))
        }
        let isAlone = digests.count == 1
        return TextContent(
            byteCount: size,
            sha256: isAlone ? digests[0] : FileDigest.sha256(Array(digests.joined(separator: "\n").utf8)))
    }
}

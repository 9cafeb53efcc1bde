internal import Formats

/// A file of ``PackedTokens``, of which memory holds what is looked at.
///
/// It is a safetensors file with three tensors: `tokens` (U16 or U32, [T]), every document's tokens as the
/// tokenizer encodes it by itself, one document after the other; `document_offsets` (U64, [D + 1]), where each
/// begins and the last ends; `document_bytes` (U64, [D]), the bytes of its text. Where documents are marked as synthetic
/// `document_synthetic` (U32, [D]) has 1 for each of them and 0 for the others. The metadata name the format, its
/// version and the SHA-256 of the tokenizer.json; of a shard also those of ``TokenShard``.
struct PackedFile: Sendable {
    /// The path as it was given.
    let path: String
    /// How many documents there are.
    let count: Int
    /// How many tokens there are.
    let tokenCount: Int
    /// The SHA-256 of the tokenizer that made the tokens.
    let tokenizer: String
    /// Which shard of a folder it is; nil for a file by itself.
    let shard: TokenShard?
    private let map: MappedFile
    private let offsets: Int
    private let bytes: Int
    private let tokens: Int
    private let isWide: Bool
    /// Where the marks of synthetic documents are; nil where no document is one.
    private let marks: Int?

    static let format = "model-surgery tokens"
    static let version = "1"
    static let ending = ".safetensors"

    /// The names of the tensors and of the metadata.
    enum Key {
        static let tokens = "tokens"
        static let offsets = "document_offsets"
        static let bytes = "document_bytes"
        static let synthetic = "document_synthetic"
        static let format = "format"
        static let version = "version"
        static let tokenizer = "tokenizer_sha256"
        static let tool = "tool"
    }

    /// Opens a file and checks that its parts fit together.
    ///
    /// - Throws: ``UserFacingError`` that says what is in its place.
    init(path: String) throws(UserFacingError) {
        let file: SafetensorsFile
        do { file = try SafetensorsFile(path: path) } catch {
            throw .badTokens(path: path, found: error.description)
        }
        let metadata = file.header.metadata
        guard metadata[Key.format] == Self.format, let tokenizer = metadata[Key.tokenizer] else {
            let names = file.header.entries.prefix(5).map(\.name).joined(separator: ", ")
            throw .badTokens(path: path, found: "the tensors \(names)")
        }
        guard metadata[Key.version] == Self.version else {
            throw .badTokens(path: path, found: "version \(metadata[Key.version] ?? "none") of the format")
        }
        func place(_ name: String, _ types: [ElementType], count: Int?) throws(UserFacingError) -> (
            Int, Int, ElementType
        ) {
            guard let entry = file.header.entries.first(where: { $0.name == name }), entry.shape.count == 1,
                types.contains(entry.type), count ?? entry.shape[0] == entry.shape[0]
            else { throw .badTokens(path: path, found: "no '\(name)' of the right type and size") }
            return (file.dataOffset + entry.bytes.lowerBound, entry.shape[0], entry.type)
        }
        let (bytes, documents, _) = try place(Key.bytes, [.u64], count: nil)
        let (offsets, _, _) = try place(Key.offsets, [.u64], count: documents + 1)
        let isMarked = file.header.entries.contains { $0.name == Key.synthetic }
        marks = try isMarked ? place(Key.synthetic, [.u32], count: documents).0 : nil
        let (tokens, total, type) = try place(Key.tokens, [.u16, .u32], count: nil)
        map = try MappedFile(file.file)
        (self.path, self.tokenizer, count, isWide) = (path, tokenizer, documents, type == .u32)
        tokenCount = total
        shard = try TokenShard(metadata, path: path)
        (self.bytes, self.offsets, self.tokens) = (bytes, offsets, tokens)
        try checkOffsets(total: total)
    }

    /// Looks whether the documents lie one after the other, from the first token to the last.
    private func checkOffsets(total: Int) throws(UserFacingError) {
        var last: UInt64 = 0
        for index in 0...count {
            let offset = map.integer(at: offsets + index * 8, as: UInt64.self)
            guard offset >= last, index > 0 || offset == 0, index < count || offset == total else {
                throw .badTokens(path: path, found: "the offset \(offset) for document \(index)")
            }
            last = offset
        }
    }

    /// How many tokens a document has.
    func tokenCount(_ index: Int) -> Int {
        Int(map.integer(at: offsets + index * 8 + 8, as: UInt64.self))
            - Int(map.integer(at: offsets + index * 8, as: UInt64.self))
    }

    /// The tokens of a document.
    func tokens(_ index: Int) -> [Int32] {
        let start = Int(map.integer(at: offsets + index * 8, as: UInt64.self))
        let end = Int(map.integer(at: offsets + index * 8 + 8, as: UInt64.self))
        if isWide {
            return (start..<end).map {
                Int32(truncatingIfNeeded: map.integer(at: tokens + $0 * 4, as: UInt32.self))
            }
        }
        return (start..<end).map { Int32(map.integer(at: tokens + $0 * 2, as: UInt16.self)) }
    }

    /// Whether any document is marked as synthetic.
    var hasSynthetic: Bool { marks != nil }

    /// Whether a document is marked as synthetic.
    func isSynthetic(_ index: Int) -> Bool {
        marks.map { map.integer(at: $0 + index * 4, as: UInt32.self) != 0 } ?? false
    }

    /// The bytes of a document's text.
    func byteCount(_ index: Int) -> Int {
        Int(clamping: map.integer(at: bytes + index * 8, as: UInt64.self))
    }
}

extension PackedFile {
    /// The bytes of a token: 2, or 4 where ids go beyond 65,535.
    static func width(largestID: Int) -> Int { largestID > Int(UInt16.max) ? 4 : 2 }

    /// Tokens as they lie in a file.
    static func packed(_ tokens: [Int32], width: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(tokens.count * width)
        for token in tokens {
            let value = UInt32(bitPattern: token)
            bytes.append(UInt8(truncatingIfNeeded: value))
            bytes.append(UInt8(truncatingIfNeeded: value >> 8))
            guard width == 4 else { continue }
            bytes.append(UInt8(truncatingIfNeeded: value >> 16))
            bytes.append(UInt8(truncatingIfNeeded: value >> 24))
        }
        return bytes
    }
}

internal import Formats

/// Writes a ``PackedFile``, document by document.
///
/// The file appears with ``close()``; without it nothing is left behind. Memory holds two numbers a document and a block
/// of tokens.
final class PackedFileWriter {
    private let stream: SafetensorsStream
    private let documents: Int
    private let width: Int
    private var offsets: [UInt64] = [0]
    private var bytes: [UInt64] = []
    /// Which documents are marked as synthetic; nil where none will be.
    private var marks: [UInt32]?
    private var block: [UInt8] = []

    private static let blockSize = 1 << 20

    /// The places of the tensors in the file; the tokens are the last.
    private enum Tensor {
        static let offsets = 0
        static let bytes = 1
        static let synthetic = 2
    }
    private let tokenTensor: Int

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - path: the file; one that exists is replaced at the end.
    ///   - documents: how many will come.
    ///   - largestID: the largest id that can come.
    ///   - tokenizer: the SHA-256 of the tokenizer.json.
    ///   - tool: name and version of what writes.
    ///   - hasSynthetic: whether documents will come that are marked as synthetic.
    ///   - shard: which shard of a folder it is; nil for a file by itself.
    /// - Throws: ``UserFacingError``.
    init(
        path: String, documents: Int, largestID: Int, tokenizer: String, tool: String,
        hasSynthetic: Bool = false,
        shard: TokenShard? = nil
    ) throws(UserFacingError) {
        self.documents = documents
        width = PackedFile.width(largestID: largestID)
        marks = hasSynthetic ? [] : nil
        tokenTensor = hasSynthetic ? 3 : 2
        stream = try SafetensorsStream(
            path: path,
            [
                .init(PackedFile.Key.offsets, .u64, shape: [documents + 1]),
                .init(PackedFile.Key.bytes, .u64, shape: [documents]),
            ]
                + (hasSynthetic ? [.init(PackedFile.Key.synthetic, .u32, shape: [documents])] : [])
                + [.init(PackedFile.Key.tokens, width == 4 ? .u32 : .u16, shape: nil)],
            metadata: [
                PackedFile.Key.format: PackedFile.format,
                PackedFile.Key.version: PackedFile.version,
                PackedFile.Key.tokenizer: tokenizer, PackedFile.Key.tool: tool,
            ].merging(shard?.metadata ?? [:]) { own, _ in own })
    }

    /// Writes the next document.
    func append(_ document: EncodedDocument) throws(UserFacingError) {
        try append(
            packed: PackedFile.packed(document.tokens, width: width), byteCount: document.byteCount,
            isSynthetic: document.isSynthetic)
    }

    /// Writes the next document, whose tokens are as they lie in the file.
    func append(packed tokens: [UInt8], byteCount: Int, isSynthetic: Bool) throws(UserFacingError) {
        precondition(bytes.count < documents, "more documents than were said to come")
        block += tokens
        offsets.append((offsets.last ?? 0) + UInt64(tokens.count / width))
        bytes.append(UInt64(byteCount))
        precondition(
            marks != nil || !isSynthetic, "a synthetic document among those that are said to be none")
        marks?.append(isSynthetic ? 1 : 0)
        if block.count >= Self.blockSize { try flush() }
    }

    private func flush() throws(UserFacingError) {
        let block = block
        try unsafe stream.append(block.span.bytes, to: tokenTensor)
        self.block = []
    }

    /// Makes the file durable and gives it its name; all documents must have come.
    func close() throws(UserFacingError) {
        precondition(bytes.count == documents, "fewer documents than were said to come")
        try flush()
        let (offsets, bytes) = (offsets.map(\.littleEndian), bytes.map(\.littleEndian))
        try unsafe stream.append(offsets.span.bytes, to: Tensor.offsets)
        try unsafe stream.append(bytes.span.bytes, to: Tensor.bytes)
        if let marks = marks?.map(\.littleEndian) {
            try unsafe stream.append(marks.span.bytes, to: Tensor.synthetic)
        }
        try stream.close()
    }
}

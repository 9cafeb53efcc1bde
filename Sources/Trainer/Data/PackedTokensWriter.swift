internal import Formats
internal import Glibc

/// Writes a file of ``PackedTokens``, document by document.
///
/// The file has a temporary name until ``close()``; without it nothing is left behind. Memory holds two numbers a
/// document and a block of tokens.
final class PackedTokensWriter {
    private let path: String
    private let partial: String
    private let file: OutputFile
    private let documents: Int
    private let isWide: Bool
    private let metadata: [String: String]
    private let tokensStart: Int
    private var offsets: [UInt64] = [0]
    private var bytes: [UInt64] = []
    private var block: [UInt8] = []
    private var written = 0
    private var isClosed = false

    private static let blockSize = 1 << 20

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - path: the file; one that exists is replaced at the end.
    ///   - documents: how many will come.
    ///   - largestID: the largest id that can come.
    ///   - tokenizer: the SHA-256 of the tokenizer.json.
    ///   - tool: name and version of what writes.
    /// - Throws: ``DataError/file(_:)``.
    init(path: String, documents: Int, largestID: Int, tokenizer: String, tool: String) throws(DataError) {
        self.path = path
        self.documents = documents
        partial = path + ".partial"
        isWide = largestID > Int(UInt16.max)
        metadata = [
            PackedTokens.Key.format: PackedTokens.format, PackedTokens.Key.version: PackedTokens.version,
            PackedTokens.Key.tokenizer: tokenizer, PackedTokens.Key.tool: tool,
        ]
        tokensStart = SafetensorsLayout.alignment + (2 * documents + 1) * 8
        do throws(FileError) {
            file = try OutputFile(path: partial)
            guard file.lock() else { throw FileError(.lock, partial, code: EWOULDBLOCK) }
            try file.truncate(to: 0)
        } catch {
            throw .file(error)
        }
    }

    deinit { if !isClosed { unsafe unlink(partial) } }

    /// Writes the next document.
    func append(_ tokens: [Int32], byteCount: Int) throws(DataError) {
        precondition(bytes.count < documents, "more documents than were said to come")
        for token in tokens {
            let value = UInt32(bitPattern: token)
            block.append(UInt8(truncatingIfNeeded: value))
            block.append(UInt8(truncatingIfNeeded: value >> 8))
            guard isWide else { continue }
            block.append(UInt8(truncatingIfNeeded: value >> 16))
            block.append(UInt8(truncatingIfNeeded: value >> 24))
        }
        offsets.append((offsets.last ?? 0) + UInt64(tokens.count))
        bytes.append(UInt64(byteCount))
        if block.count >= Self.blockSize { try flush() }
    }

    private func flush() throws(DataError) {
        let block = block
        do { try unsafe file.write(block.span.bytes, at: tokensStart + written) } catch { throw .file(error) }
        written += block.count
        self.block = []
    }

    /// Makes the file durable and gives it its name; all documents must have come.
    func close() throws(DataError) {
        precondition(bytes.count == documents, "fewer documents than were said to come")
        try flush()
        let header = try header()
        let numbers = (offsets + bytes).map(\.littleEndian)
        do throws(FileError) {
            try unsafe file.write(numbers.span.bytes, at: header.count)
            try unsafe file.write(header.span.bytes, at: 0)
            try file.synchronize()
            guard unsafe rename(partial, path) == 0 else { throw FileError(.rename, path) }
        } catch {
            throw .file(error)
        }
        isClosed = true
    }

    private func header() throws(DataError) -> [UInt8] {
        let type = isWide ? ElementType.u32 : .u16
        let shapes: [(String, ElementType, Int)] = [
            (PackedTokens.Key.offsets, .u64, offsets.count), (PackedTokens.Key.bytes, .u64, bytes.count),
            (PackedTokens.Key.tokens, type, written / (type.bits / 8)),
        ]
        var tensors: [(name: String, expression: TensorExpression)] = []
        for (name, type, count) in shapes {
            guard let zeros = try? TensorExpression.zeros(type, shape: [count]) else {
                throw .file(FileError(.write, path, code: EFBIG))
            }
            tensors.append((name, zeros))
        }
        let header = SafetensorsLayout(tensors, metadata: metadata).header
        precondition(header.count == SafetensorsLayout.alignment, "the header is longer than its place")
        return header
    }
}

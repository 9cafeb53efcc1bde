public import Formats
internal import OrderedCollections

/// Rows of tokens from a safetensors file's `input_ids` (N, T), in order, beginning again at the end.
public struct TokenDataset: TrainingData {
    /// How many rows there are.
    public let count: Int
    /// How many tokens each has.
    public let length: Int
    private let tokens: [Int32]
    private let path: String
    private var taken = 0

    /// Reads the rows.
    ///
    /// - Parameters:
    ///   - path: a safetensors file with the integer tensor `input_ids`.
    ///   - rows: rows of the model's embedding.
    /// - Throws: ``UserFacingError`` when the tensor is not there, of another form, or names a token without a row.
    public init(path: String, rows: Int) throws(UserFacingError) {
        let expected = "an integer tensor 'input_ids' of the shape [rows, tokens], two tokens or more"
        let checkpoint: Checkpoint
        do { checkpoint = try Checkpoint.open(path) } catch {
            throw .badIDs(path: path, found: error.description, expected: expected)
        }
        guard let tensor = checkpoint.tensors["input_ids"] else {
            let names = checkpoint.tensors.keys.prefix(5).joined(separator: ", ")
            throw .badIDs(path: path, found: "the tensors \(names)", expected: expected)
        }
        guard tensor.shape.count == 2, tensor.shape[0] > 0, tensor.shape[1] > 1,
            let read = Self.reader(of: tensor.type)
        else {
            throw .badIDs(
                path: path, found: "'input_ids' \(tensor.type.rawValue)\(tensor.shape)", expected: expected)
        }
        self.path = path
        count = tensor.shape[0]
        length = tensor.shape[1]
        var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
        do {
            var span = bytes.mutableSpan
            var raw = unsafe span.mutableBytes
            try tensor.read(0..<tensor.byteCount, into: &raw)
        } catch {
            throw .badIDs(path: path, found: error.description, expected: expected)
        }
        let values = read(bytes)
        if let bad = values.first(where: { $0 < 0 || $0 >= rows }) {
            throw .tokenOutOfRange(path: path, token: bad, rows: rows)
        }
        tokens = values.map { Int32($0) }
    }

    /// Where the data stands.
    public var position: DataPosition { DataPosition(taken: [taken], streams: []) }

    /// Goes on from where the data stood before.
    public mutating func move(to position: DataPosition) throws(UserFacingError) {
        guard position.taken.count == 1, position.taken[0] >= 0 else { throw .badPosition(path: path) }
        taken = position.taken[0]
    }

    /// The next sequences.
    public mutating func next(_ count: Int) -> TokenBatch {
        var batch: [Int32] = []
        for _ in 0..<count {
            let row = taken % self.count
            batch += tokens[row * length..<(row + 1) * length]
            taken += 1
        }
        return TokenBatch(rows: batch[...], sequenceLength: length)
    }

    /// The rows [start, end), end at most ``count``.
    public func rows(_ range: Range<Int>) -> TokenBatch {
        TokenBatch(
            rows: tokens[range.lowerBound * length..<range.upperBound * length], sequenceLength: length)
    }

    /// How integers of a type are read; nil for other types.
    private static func reader(of type: ElementType) -> (([UInt8]) -> [Int])? {
        switch type {
        case .i64: { integers($0, of: Int64.self) }
        case .i32: { integers($0, of: Int32.self) }
        case .u32: { integers($0, of: UInt32.self) }
        case .u16: { integers($0, of: UInt16.self) }
        case .i16: { integers($0, of: Int16.self) }
        case .u8: { integers($0, of: UInt8.self) }
        default: nil
        }
    }

    private static func integers<Value: FixedWidthInteger & BitwiseCopyable>(_ bytes: [UInt8], of: Value.Type)
        -> [Int]
    {
        let raw = unsafe bytes.span.bytes
        var values: [Int] = []
        for offset in stride(from: 0, to: bytes.count, by: MemoryLayout<Value>.size) {
            let value = unsafe raw.unsafeLoadUnaligned(fromByteOffset: offset, as: Value.self)
            values.append(Int(truncatingIfNeeded: Value(littleEndian: value)))
        }
        return values
    }
}

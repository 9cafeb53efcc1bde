public import Formats
internal import OrderedCollections

/// Rows of tokens from a safetensors file's `input_ids` (N, T), in order, pass by pass.
///
/// `attention_mask` (N, T) says which tokens are there, 1, and which only fill a row, 0, at one end of it or both. What
/// fills is neither seen nor predicted, and nothing is predicted from it; positions count from the row's start, as in
/// transformers. `labels` (N, T) are what should stand at each place in place of the tokens; -100 is not predicted.
public struct TokenDataset: TrainingData {
    /// How many rows there are.
    public let count: Int
    /// How many tokens each has.
    public let length: Int
    private let tokens: [Int32]
    private let targets: [Int32]
    private let attentionStart: [Int32]
    private let path: String
    /// How many rows are handed out at most, those before it began left out; nil where there is no end.
    private let limit: Int?
    /// How many rows were handed out, and how many had been when this began.
    private var next = 0, begun = 0

    /// What is left out of the predictions where labels say so: PyTorch's `ignore_index`.
    private static let ignored = -100

    /// Reads the rows.
    ///
    /// - Parameters:
    ///   - path: a safetensors file with the integer tensor `input_ids`.
    ///   - vocabularySize: rows of the model's embedding.
    ///   - extent: where it ends; of tokens, after the row that has the last of them.
    /// - Throws: ``UserFacingError`` when the tensor is not there, of another form, or names a token without a row.
    public init(path: String, vocabularySize: Int, extent: DataExtent = .unlimited) throws(UserFacingError) {
        let expected = "an integer tensor 'input_ids' of the shape [rows, tokens], two tokens or more"
        let file: Checkpoint
        do { file = try Checkpoint.open(path) } catch {
            throw .badIDs(path: path, found: error.description, expected: expected)
        }
        guard let tensor = file.tensors["input_ids"] else {
            let names = file.tensors.keys.prefix(5).joined(separator: ", ")
            throw .badIDs(path: path, found: "the tensors \(names)", expected: expected)
        }
        guard tensor.shape.count == 2, tensor.shape[0] > 0, tensor.shape[1] > 1 else {
            throw .badIDs(
                path: path, found: "'input_ids' \(tensor.type.rawValue)\(tensor.shape)", expected: expected)
        }
        if let other = file.tensors.keys.first(where: { !Self.isKnown($0) }) {
            throw .unknownRows(path: path, tensor: other)
        }
        let (count, length) = (tensor.shape[0], tensor.shape[1])
        let ids = try Self.integers(tensor, "input_ids", shape: tensor.shape, path: path)
        if let bad = ids.first(where: { $0 < 0 || $0 >= vocabularySize }) {
            throw .tokenOutOfRange(path: path, token: bad, vocabularySize: vocabularySize)
        }
        var there: [Range<Int>]?
        if let mask = file.tensors["attention_mask"] {
            there = try Self.places(
                Self.integers(mask, "attention_mask", shape: tensor.shape, path: path), length: length,
                path: path)
        }
        var labels: [Int]?
        if let tensor = file.tensors["labels"] {
            labels = try Self.integers(tensor, "labels", shape: [count, length], path: path)
            if let bad = labels?.first(where: { $0 != Self.ignored && ($0 < 0 || $0 >= vocabularySize) }) {
                throw .badLabel(path: path, label: bad, vocabularySize: vocabularySize)
            }
        }
        targets = try Self.targets(ids, labels, there, length: length, path: path)
        guard targets.contains(where: { $0 >= 0 }) else { throw .noRowToPredict(path: path) }
        attentionStart = ids.indices.map { index in
            let (row, place) = index.quotientAndRemainder(dividingBy: length)
            // A token that only fills the row sees itself, for it must see something.
            return there.map { $0[row].contains(place) ? $0[row].lowerBound : place }.map(Int32.init) ?? 0
        }
        (self.path, self.count, self.length) = (path, count, length)
        tokens = ids.map { Int32($0) }
        switch extent {
        case .unlimited: limit = nil
        case .tokens(let tokens): limit = (tokens + length - 1) / length
        case .passes(let passes): limit = passes * count
        }
    }

    /// How many rows there are until the end; nil where there is none.
    var sequenceCount: Int? { limit }

    /// What will have been shown at the end, or after so many tokens where there is none.
    ///
    /// - Parameters:
    ///   - tokens: how many are shown from the beginning on.
    ///   - earlier: what will have been shown before, where it goes on from other data.
    /// - Returns: the file, with what was shown of it before.
    func progress(after tokens: Int, from earlier: [SourceProgress] = []) -> [SourceProgress] {
        let before = earlier.first?.shown ?? 0
        return [
            SourceProgress(
                name: path, shown: before + (limit.map { $0 * length } ?? tokens), size: count * length)
        ]
    }

    /// What was shown so far.
    public var sources: [SourceProgress] {
        [SourceProgress(name: path, shown: next * length, size: count * length)]
    }

    /// Whether a tensor of the file is read, or is a reference's result that is passed over.
    private static func isKnown(_ name: String) -> Bool {
        ["input_ids", "attention_mask", "labels", "logits", "loss", "total_loss"].contains(name)
            || name.hasPrefix("grad.")
    }

    /// Where each row's tokens lie.
    private static func places(_ mask: [Int], length: Int, path: String) throws(UserFacingError) -> [Range<
        Int
    >] {
        var places: [Range<Int>] = []
        for row in 0..<mask.count / length {
            let own = mask[row * length..<(row + 1) * length]
            let first = own.firstIndex(of: 1) ?? own.startIndex
            let end = own[first...].firstIndex { $0 != 1 } ?? own.endIndex
            guard own.allSatisfy({ $0 == 0 || $0 == 1 }), own[end...].allSatisfy({ $0 == 0 }) else {
                throw .brokenMask(path: path, row: row)
            }
            places.append(first - own.startIndex..<end - own.startIndex)
        }
        return places
    }

    /// What each token should be followed by; negative where nothing is asked for.
    private static func targets(
        _ ids: [Int], _ labels: [Int]?, _ there: [Range<Int>]?, length: Int, path: String
    ) throws(UserFacingError) -> [Int32] {
        var targets: [Int32] = []
        targets.reserveCapacity(ids.count)
        for index in ids.indices {
            let (row, place) = index.quotientAndRemainder(dividingBy: length)
            var target = place + 1 == length ? ignored : (labels ?? ids)[index + 1]
            if let there = there?[row] {
                if labels == nil, !there.contains(place + 1) { target = ignored }
                if !there.contains(place), target != ignored {
                    // The first token of a row that is filled in front has nothing to be predicted from.
                    guard labels == nil || there.contains(place + 1) else {
                        throw .labelOfPadding(path: path, row: row, token: place + 1)
                    }
                    target = ignored
                }
            }
            targets.append(target == ignored ? -1 : Int32(target))
        }
        return targets
    }

    /// Where the data stands.
    public var position: DataPosition { DataPosition(rows: next, begun: [begun]) }

    /// Goes on from where the data stood before.
    public mutating func move(to position: DataPosition) throws(UserFacingError) {
        guard let rows = position.rows, let first = position.begun.first, position.begun.count == 1,
            first >= 0, first <= rows
        else { throw .badPosition(path: path) }
        (next, begun) = (rows, first)
    }

    /// Begins with the row that is next where other data of the same file stands.
    public mutating func begin(at position: DataPosition) throws(UserFacingError) {
        try move(to: position)
        begun = next
    }

    /// The next sequences.
    public mutating func next(_ count: Int) -> TokenBatch {
        let there = min(count, limit.map { max(0, begun + $0 - next) } ?? count)
        // Beyond the end rows only fill the batch.
        var batch = rows((0..<count).map { ($0 < there ? next + $0 : $0) % self.count })
        for index in there * length..<count * length { batch.targets[index] = -1 }
        batch.documents = Array(batch.documents.prefix(there))
        next += there
        return batch
    }

    /// The rows [start, end), end at most ``count``.
    public func rows(_ range: Range<Int>) -> TokenBatch { rows(Array(range)) }

    private func rows(_ numbers: [Int]) -> TokenBatch {
        func values(_ list: [Int32]) -> [Int32] {
            numbers.flatMap { list[$0 * length..<($0 + 1) * length] }
        }
        var batch = TokenBatch(
            batch: numbers.count, sequenceLength: length, tokens: values(tokens), targets: values(targets))
        batch.attentionStart = values(attentionStart)
        batch.countsPositionsFromRowStart = true
        batch.documents = numbers.map { DocumentReference(path: path, number: $0 + 1) }
        return batch
    }

    /// The values of a tensor of whole numbers of this shape.
    private static func integers(
        _ tensor: TensorExpression, _ name: String, shape: [Int], path: String
    ) throws(UserFacingError) -> [Int] {
        guard tensor.shape == shape, let read = reader(of: tensor.type) else {
            throw .badIDs(
                path: path, found: "'\(name)' \(tensor.type.rawValue)\(tensor.shape)",
                expected: "whole numbers of the shape \(shape)")
        }
        var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
        do {
            var span = bytes.mutableSpan
            var raw = unsafe span.mutableBytes
            try tensor.read(0..<tensor.byteCount, into: &raw)
        } catch {
            throw .badIDs(path: path, found: error.description, expected: "'\(name)'")
        }
        return read(bytes)
    }

    /// How integers of a type are read; nil for other types.
    private static func reader(of type: ElementType) -> (([UInt8]) -> [Int])? {
        switch type {
        case .i64: { integers($0, of: Int64.self) }
        case .i32: { integers($0, of: Int32.self) }
        case .u32: { integers($0, of: UInt32.self) }
        case .u16: { integers($0, of: UInt16.self) }
        case .i16: { integers($0, of: Int16.self) }
        case .u8, .bool: { integers($0, of: UInt8.self) }
        case .i8: { integers($0, of: Int8.self) }
        case .u64: { integers($0, of: UInt64.self) }
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

public import Formats
internal import Models
internal import OrderedCollections

/// What tells two models from each other: tensors by their bytes, configuration by its keys, tokenizer by its tokens.
public struct ModelDifference: Sendable {
    /// A tensor of the second model that has the bytes of another tensor of the first.
    public struct Move: Sendable, Equatable {
        /// Its name in the second model.
        public let tensor: String
        /// The name of the first model's tensor.
        public let from: String
    }

    /// A tensor that both have under one name, with other bytes.
    public struct Change: Sendable, Equatable {
        /// Its name.
        public let tensor: String
        /// Its types in the first model and in the second.
        public let types: [ElementType]
        /// Its shapes in the first model and in the second.
        public let shapes: [[Int]]
        /// How far the numbers are apart; nil where they can't be compared one by one.
        public let norms: Norms?
    }

    /// Euclidean norms of the numbers of a tensor, in double precision; of the rows that both models have.
    public struct Norms: Sendable, Equatable {
        /// How many rows were compared.
        public var rows: Int
        /// Of the first model's numbers.
        public var before = 0.0
        /// Of the second model's numbers.
        public var after = 0.0
        /// Of the numbers' differences.
        public var difference = 0.0
    }

    /// What the tokenizers' vocabularies differ in.
    public struct Tokens: Sendable, Equatable {
        /// Tokens of the second alone, by their ids.
        public var new: [String] = []
        /// Tokens of the first alone, by their ids.
        public var gone: [String] = []
        /// How many tokens have another id.
        public var moved = 0

        /// Whether both have the same tokens, with the same ids.
        public var isSame: Bool { new.isEmpty && gone.isEmpty && moved == 0 }
    }

    /// Tensors that both have under one name, byte for byte.
    public private(set) var same: [String] = []
    /// Tensors with the bytes of one that is called otherwise.
    public private(set) var moved: [Move] = []
    /// Tensors of one name with other bytes.
    public private(set) var changed: [Change] = []
    /// Tensors of the second model alone.
    public private(set) var new: [String] = []
    /// Tensors of the first model whose bytes are nowhere in the second.
    public private(set) var gone: [String] = []
    /// What differs in config.json.
    public let configuration: [ConfigurationChange]
    /// Files beside the weights that differ, and those that only one model has.
    public let files: (changed: [String], new: [String], gone: [String])
    /// What differs in the vocabularies; nil when one of the models has no tokenizer that can be read.
    public let tokens: Tokens?

    /// Whether nothing differs.
    public var isSame: Bool {
        moved.isEmpty && changed.isEmpty && new.isEmpty && gone.isEmpty && configuration.isEmpty
            && files.changed.isEmpty && files.new.isEmpty && files.gone.isEmpty
    }

    /// Compares two models; of tensors a part at a time is in memory.
    ///
    /// - Parameters:
    ///   - first: a model.
    ///   - second: another one.
    ///   - isCancelled: asked many times a second; true stops.
    ///   - progress: told how many bytes of the second model's tensors are compared, of how many.
    /// - Throws: ``UserFacingError`` when a file can't be read, or it was stopped.
    public init(
        from first: Checkpoint, to second: Checkpoint, isCancelled: () -> Bool = { false },
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(UserFacingError) {
        let none = JSON.object(JSONObject())
        configuration = ConfigurationChange.differences(
            from: first.configuration?.json ?? none, to: second.configuration?.json ?? none, path: "")
        files = try Self.files(first.auxiliaryFiles, second.auxiliaryFiles)
        tokens = Tokens(from: first, to: second)
        let total = second.byteCount
        var done = 0
        var index = SampleIndex(first)
        var origins: Set<String> = []
        for (name, tensor) in second.tensors {
            let old = first.tensors[name]
            if let old, try Self.isSame(old, tensor, isCancelled) {
                same.append(name)
            } else if let origin = try index.origin(of: tensor, isCancelled) {
                moved.append(Move(tensor: name, from: origin))
                origins.insert(origin)
            } else if let old {
                changed.append(
                    Change(
                        tensor: name, types: [old.type, tensor.type], shapes: [old.shape, tensor.shape],
                        norms: try Norms(old, tensor, isCancelled)))
            } else {
                new.append(name)
            }
            done += tensor.byteCount
            progress(done, total)
        }
        gone = first.names.filter { second.tensors[$0] == nil && !origins.contains($0) }
    }

    fileprivate static func isSame(
        _ one: TensorExpression, _ other: TensorExpression, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> Bool {
        guard one.type == other.type, one.shape == other.shape else { return false }
        return try one.firstDifference(from: other, isCancelled: isCancelled) == nil
    }

    private static func files(
        _ first: [AuxiliaryFile], _ second: [AuxiliaryFile]
    ) throws(UserFacingError) -> (changed: [String], new: [String], gone: [String]) {
        var changed: [String] = []
        for file in second {
            guard let old = first.first(where: { $0.name == file.name }) else { continue }
            let (before, after) = (try old.bytes(), try file.bytes())
            if before != after { changed.append(file.name) }
        }
        let (old, new) = (Set(first.map(\.name)), Set(second.map(\.name)))
        return (changed, new.subtracting(old).sorted(), old.subtracting(new).sorted())
    }
}

/// Finds tensors by some of their bytes, so that not all have to be read.
private struct SampleIndex {
    private struct Key: Hashable {
        let type: ElementType
        let shape: [Int]
    }

    private let model: Checkpoint
    private let names: [Key: [String]]
    private var samples: [Key: [[UInt8]: [String]]] = [:]

    init(_ model: Checkpoint) {
        self.model = model
        names = Dictionary(grouping: model.names) { name in
            Key(type: model.tensors[name]?.type ?? .u8, shape: model.tensors[name]?.shape ?? [])
        }
    }

    /// The first tensor that has another's bytes; nil when there is none.
    mutating func origin(
        of tensor: TensorExpression, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> String? {
        let key = Key(type: tensor.type, shape: tensor.shape)
        guard let names = names[key] else { return nil }
        if samples[key] == nil {
            var known: [[UInt8]: [String]] = [:]
            for name in names {
                if isCancelled() { throw .interrupted }
                guard let sample = try model.tensors[name]?.sample() else { continue }
                known[sample, default: []].append(name)
            }
            samples[key] = known
        }
        let sample = try tensor.sample()
        for name in samples[key]?[sample] ?? [] {
            guard let candidate = model.tensors[name] else { continue }
            if try ModelDifference.isSame(candidate, tensor, isCancelled) { return name }
        }
        return nil
    }
}

extension TensorExpression {
    /// Puts some of its elements at the beginning of an array.
    fileprivate func fill(_ numbers: inout [Float], _ elements: Range<Int>) throws(UserFacingError) {
        var span = numbers.mutableSpan
        var room = span._mutatingExtracting(0..<elements.count)
        try floats(elements, into: &room)
    }

    /// Some bytes of its middle, by which most tensors can be told from each other.
    fileprivate func sample() throws(UserFacingError) -> [UInt8] {
        // 24 bytes are whole elements of every type.
        let start = byteCount / 2 / 24 * 24
        let range = start..<min(byteCount, start + 240)
        if range.isEmpty { return [] }
        var bytes = [UInt8](repeating: 0, count: range.count)
        var span = bytes.mutableSpan
        var room = unsafe span.mutableBytes
        try read(range, into: &room)
        return bytes
    }
}

extension ModelDifference.Norms {
    /// The norms of two tensors' rows; nil where rows are of another shape, or no numbers with a fraction.
    fileprivate init?(
        _ old: TensorExpression, _ new: TensorExpression, _ isCancelled: () -> Bool
    ) throws(UserFacingError) {
        guard old.shape.count == new.shape.count, old.shape.dropFirst() == new.shape.dropFirst(),
            let first = try? old.cast(to: .f32), let second = try? new.cast(to: .f32)
        else { return nil }
        rows = min(old.shape.first ?? 1, new.shape.first ?? 1)
        let width = old.elementCount / max(old.shape.first ?? 1, 1)
        let most = 1 << 16
        var (one, other) = ([Float](repeating: 0, count: most), [Float](repeating: 0, count: most))
        var start = 0
        while start < rows * width {
            if isCancelled() { throw .interrupted }
            let range = start..<min(start + most, rows * width)
            try first.fill(&one, range)
            try second.fill(&other, range)
            for index in 0..<range.count {
                let (x, y) = (Double(one[index]), Double(other[index]))
                before += x * x
                after += y * y
                difference += (y - x) * (y - x)
            }
            start = range.upperBound
        }
        (before, after, difference) = (before.squareRoot(), after.squareRoot(), difference.squareRoot())
    }
}

extension ModelDifference.Tokens {
    fileprivate init?(from first: Checkpoint, to second: Checkpoint) {
        guard let old = try? first.tokenizerFiles().tokenizer(),
            let new = try? second.tokenizerFiles().tokenizer()
        else { return nil }
        for id in 0...Int32(max(new.largestID, 0)) {
            guard let token = new.token(of: id) else { continue }
            guard let before = old.id(of: token) else {
                self.new.append(token)
                continue
            }
            if before != id { moved += 1 }
        }
        for id in 0...Int32(max(old.largestID, 0)) {
            if let token = old.token(of: id), new.id(of: token) == nil { gone.append(token) }
        }
    }
}

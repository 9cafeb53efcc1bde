internal import Formats
internal import OrderedCollections

/// What a run begins with that begins with a checkpoint of another: `beginning/` of a ``RunFolder``.
///
/// It has `weights/NAME` of what was trained, in float32, and `mean/NAME` and `square/NAME` of what the first stage trains, too. A
/// checkpoint has moments by operand, in the order of the engine's memory; here each tensor has its own, as the files have it.
struct WorkerBeginning {
    /// The files, in the run folder, and how many updates each tensor has had.
    let files: [String], counts: [String: Int]

    private static let folder = "beginning"

    /// Writes the beginning of a job into its run folder; nil where it begins with the model.
    ///
    /// - Throws: ``UserFacingError`` when the checkpoint's moments are not those of the first stage's operands.
    init?(_ prepared: PreparedJob, in path: String) throws {
        guard let kept = prepared.beginning else { return nil }
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        for (name, tensor) in kept.masters.sorted(by: { $0.key < $1.key }) {
            tensors[CheckpointStore.weightsPrefix + name] = tensor
        }
        var counts: [String: Int] = [:]
        let layout = prepared.stages[0].layout
        for block in layout.trained {
            for kind in ["mean", "square"] {
                guard let own = kept.moments(kind, of: block.name) else { continue }
                let values = own.type == .u32 ? try own.inHalves() : own
                guard (0...1).contains(values.elementCount - block.weights.count) else {
                    throw UserFacingError.badRunState(
                        path: kept.path, reason: "'\(kind)/\(block.name)' has another size than this run's")
                }
                for parameter in layout.parameters(of: block) {
                    let start = parameter.weights.start - block.weights.start
                    let part = try values.rows(start..<start + parameter.weights.count)
                        .reshaped(to: parameter.memoryShape)
                    tensors["\(kind)/\(parameter.name)"] =
                        parameter.isTransposed ? try part.transposed() : part
                    counts[parameter.name] = kept.progress.ages[block.name] ?? 0
                }
            }
        }
        self.counts = counts
        let folder = Path.join(path, Self.folder)
        let beginning = Checkpoint(path: folder, tensors: tensors, auxiliaryFiles: [], metadata: [:])
        try CheckpointWriter(options: WriteOptions(force: true, checksums: false)).write(
            beginning, to: folder)
        files = try FileSystem.names(folder).filter { $0.hasSuffix(".safetensors") }.sorted().map {
            Path.join(Self.folder, $0)
        }
    }

    /// The weights that a run folder's run begins with in place of the model's own; none where it begins with the model.
    static func masters(in run: RunFolder) throws(UserFacingError) -> [String: TensorExpression] {
        guard run.job.beginning != nil else { return [:] }
        let prefix = CheckpointStore.weightsPrefix
        return try Checkpoint.open(Path.join(run.path, folder)).tensors.reduce(into: [:]) { masters, entry in
            guard entry.key.hasPrefix(prefix) else { return }
            masters[String(entry.key.dropFirst(prefix.count))] = entry.value
        }
    }
}

extension TensorExpression {
    /// Words that hold two bfloat16 values each, as such.
    fileprivate func inHalves() throws(UserFacingError) -> TensorExpression {
        let words = self
        return try .stored(
            MemoryTensor(name: "halves", type: .bf16, shape: [2 * elementCount]) {
                (bytes, destination) throws(UserFacingError) in
                // What is read begins and ends with a word.
                let whole = bytes.lowerBound / 4 * 4..<(bytes.upperBound + 3) / 4 * 4
                var buffer = [UInt8](repeating: 0, count: whole.count)
                var span = buffer.mutableSpan
                var raw = unsafe span.mutableBytes
                try words.read(whole, into: &raw)
                for index in 0..<bytes.count {
                    destination.storeBytes(
                        of: buffer[bytes.lowerBound - whole.lowerBound + index], toByteOffset: index,
                        as: UInt8.self)
                }
            })
    }
}

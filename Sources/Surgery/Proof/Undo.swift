public import Formats
internal import OrderedCollections

/// The model that a result was made from, as far as the result and its manifest have it.
public struct Undo: Sendable {
    /// Something that the result does not have any more.
    public struct Loss: Sendable, Equatable {
        /// The name of the tensor or of the file.
        public let name: String
        /// What is lost of it, or why.
        public let reason: String
    }

    /// The files of the model, byte for byte; all of them when nothing is lost.
    public let files: [RestoredFile]
    /// What can't be had; nothing can be written then.
    public let losses: [Loss]
    /// The operations that are undone, in the order in which they were done.
    public let operations: [Manifest.Operation]
}

extension Checkpoint {
    /// The model that this result was made from, of the result and its manifest alone.
    ///
    /// All operations of the manifest are undone at once. The source's own manifest is among the files, so that a result of a
    /// result is undone in two steps.
    ///
    /// - Returns: the files of that model, and what is lost of it.
    /// - Throws: ``UserFacingError`` when there is no manifest, or it does not keep what it takes.
    public func undone() throws(UserFacingError) -> Undo {
        if let unusableManifest { throw unusableManifest }
        guard let manifest else { throw .noManifest(path: path) }
        guard let original = manifest.original else { throw .nothingKept(path: path) }
        let inverse = try Inverse(of: manifest, in: self)
        var files: [RestoredFile] = []
        var losses: [Undo.Loss] = []
        for weights in original.weights {
            losses += weights.dropped.map { inverse.loss(of: $0, in: weights) }
            if let file = try inverse.file(weights, of: manifest, losses: &losses) { files.append(file) }
        }
        for file in original.files {
            guard let bytes = file.content(from: file.needsResult ? try resultBytes(file.name) : nil) else {
                losses.append(
                    Undo.Loss(name: file.name, reason: "the result's \(file.name) has been changed since"))
                continue
            }
            files.append(RestoredFile(name: file.name, sha256: file.sha256, parts: [.bytes(bytes)]))
        }
        return Undo(files: files, losses: losses, operations: manifest.operations)
    }

    /// What is in a file of the result's folder; nil when there is none.
    private func resultBytes(_ name: String) throws(UserFacingError) -> [UInt8]? {
        let path = Path.join(path, name)
        return FileSystem.kind(of: path) == .file ? try InputFile(path: path).bytes() : nil
    }
}

// MARK: - The inverse of a manifest

/// The source's tensors as made of the result's.
private struct Inverse {
    /// Some rows of a tensor, and what has them.
    struct Run {
        var rows: Range<Int>
        var tensor: TensorExpression
    }

    /// A tensor of the source.
    struct Source: Hashable {
        let file: Int
        let name: String
    }

    /// What is known of a tensor of the source.
    struct Found {
        let leaf: Provenance
        let offset: Int
        var runs: [Run] = []
        /// Why rows that are in the result are not there as they were.
        var obstacle: String?
    }

    private var found: [Source: Found] = [:]
    /// Tensors of the result that were computed, as by training, and by what.
    private var computed: [String: String] = [:]

    init(of manifest: Manifest, in result: Checkpoint) throws(UserFacingError) {
        for (name, provenance) in manifest.provenance {
            if case .leaf(.computed(let how, _)) = provenance.node { computed[name] = how }
            var runs: [Run] = []
            if let tensor = result.tensors[name], tensor.type == provenance.type,
                tensor.shape == provenance.shape
            {
                runs = [Run(rows: 0..<(tensor.shape.first ?? 1), tensor: tensor)]
            }
            try trace(
                runs, through: provenance,
                runs.isEmpty ? "tensor '\(name)' is not in the result as surgery.json says" : nil)
        }
    }

    /// Follows rows of a result's tensor back to what they were made of.
    ///
    /// - Parameters:
    ///   - runs: the rows of `tree` that are known.
    ///   - tree: what was made of the source.
    ///   - obstacle: why other rows are not known.
    /// - Throws: ``UserFacingError`` for two accounts of one tensor of the source.
    private mutating func trace(
        _ runs: [Run], through tree: Provenance, _ obstacle: String?
    ) throws(UserFacingError) {
        switch tree.node {
        case .leaf(.copied(let file, let name, let offset)):
            let source = Source(file: file, name: name)
            var known = found[source] ?? Found(leaf: tree, offset: offset)
            guard known.offset == offset, known.leaf.type == tree.type, known.leaf.shape == tree.shape else {
                throw .twoSourceTensors(name)
            }
            known.runs += runs
            known.obstacle = known.obstacle ?? obstacle
            found[source] = known
        case .leaf(.computed): break
        case .made(let operation, let operands):
            var start = 0
            for operand in operands {
                let height = operand.shape.first ?? 1
                let part = start..<start + height
                if case .joined = operation { start += height }
                var known: [Run] = []
                var obstacle = obstacle
                for run in runs {
                    do {
                        known += try operation.undone(run, of: operand, at: part)
                    } catch {
                        obstacle = obstacle ?? error.message
                    }
                }
                try trace(known, through: operand, obstacle)
            }
        }
    }

    /// Why nothing is left of a tensor.
    func loss(of tensor: String, in weights: OriginalFiles.Weights) -> Undo.Loss {
        if let how = computed[tensor] {
            return Undo.Loss(name: tensor, reason: "it was computed anew (\(how))")
        }
        return Undo.Loss(name: tensor, reason: "it is not in the result")
    }

    /// A weights file of the source; nil when something of it is lost.
    func file(
        _ weights: OriginalFiles.Weights, of manifest: Manifest, losses: inout [Undo.Loss]
    ) throws(UserFacingError) -> RestoredFile? {
        guard let between = weights.bytesBetween else { throw .notKept(file: weights.name) }
        let listed = weights.source.flatMap {
            manifest.sources.indices.contains($0) ? manifest.sources[$0] : nil
        }
        let tensors = found.filter { $0.key.file == weights.source }
            .sorted { ($0.value.offset, $0.key.name) < ($1.value.offset, $1.key.name) }
        var places: [(range: Range<Int>, tensor: TensorExpression, name: String)] = []
        let lost = losses.count
        for (source, known) in tensors {
            guard let tensor = known.tensor else {
                losses.append(Undo.Loss(name: source.name, reason: known.loss))
                continue
            }
            let (end, overflow) = known.offset.addingReportingOverflow(tensor.byteCount)
            guard known.offset >= 0, !overflow else { throw .doesNotFit(source.name, file: weights.name) }
            if let last = places.last, last.range == known.offset..<end { continue }
            places.append((known.offset..<end, tensor, source.name))
        }
        if lost < losses.count || !weights.dropped.isEmpty { return nil }
        return RestoredFile(
            name: weights.name, sha256: listed?.sha256,
            parts: try parts(weights, between, places))
    }

    private func parts(
        _ weights: OriginalFiles.Weights, _ between: [UInt8],
        _ places: [(range: Range<Int>, tensor: TensorExpression, name: String)]
    ) throws(UserFacingError) -> [RestoredFile.Part] {
        var parts: [RestoredFile.Part] = []
        var (end, used) = (0, 0)
        for place in places where !place.range.isEmpty {
            let gap = place.range.lowerBound - end
            guard gap >= 0, gap <= between.count - used else {
                throw .doesNotFit(place.name, file: weights.name)
            }
            if gap > 0 { parts.append(.bytes(Array(between[used..<used + gap]))) }
            parts.append(.tensor(place.tensor, name: place.name))
            (end, used) = (place.range.upperBound, used + gap)
        }
        guard end + between.count - used == weights.bytes else { throw .notKept(file: weights.name) }
        if used < between.count { parts.append(.bytes(Array(between[used...]))) }
        return parts
    }
}

extension Inverse.Found {
    /// The tensor, put together of its runs; nil when rows are missing.
    var tensor: TensorExpression? {
        let height = leaf.shape.first ?? 1
        if height == 0 { return leaf.elementCount == 0 ? try? .zeros(leaf.type, shape: leaf.shape) : nil }
        var parts: [TensorExpression] = []
        var end = 0
        for run in runs.sorted(by: {
            ($0.rows.lowerBound, -$0.rows.count) < ($1.rows.lowerBound, -$1.rows.count)
        }) {
            if run.rows.lowerBound > end { return nil }
            if run.rows.upperBound <= end { continue }
            let part =
                run.rows.lowerBound == end
                ? run.tensor : try? run.tensor.rows(end - run.rows.lowerBound..<run.rows.count)
            guard let part else { return nil }
            parts.append(part)
            end = run.rows.upperBound
        }
        return end == height ? try? .joined(parts) : nil
    }

    /// What is missing of it.
    var loss: String {
        let height = leaf.shape.first ?? 1
        let gaps = OriginalFiles.gaps(in: height, runs.map(\.rows))
        let rows = gaps.prefix(3).map {
            $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)–\($0.upperBound - 1)"
        }
        let count = gaps.reduce(0) { $0 + $1.count }
        let which =
            count == height
            ? ""
            : "\(count == 1 ? "row" : "rows") \(rows.joined(separator: ", "))\(gaps.count > 3 ? ", …" : ""): "
        return which + (obstacle ?? (count == height ? "it is not in the result" : "not in the result"))
    }
}

extension TensorOperation {
    /// The rows of an operand that rows of what was made of it still have.
    ///
    /// - Parameters:
    ///   - run: rows of what was made.
    ///   - operand: what it was made of.
    ///   - part: which rows of what was joined are the operand's.
    /// - Returns: the operand's rows; none where they are not in what was made.
    /// - Throws: ``UserFacingError`` whose message says what has become of the rows.
    fileprivate func undone(
        _ run: Inverse.Run, of operand: Provenance, at part: Range<Int>
    ) throws(UserFacingError) -> [Inverse.Run] {
        switch self {
        case .joined:
            let shared = run.rows.clamped(to: part)
            if shared.isEmpty { return [] }
            let start = run.rows.lowerBound
            return [
                Inverse.Run(
                    rows: shared.lowerBound - part.lowerBound..<shared.upperBound - part.lowerBound,
                    tensor: try run.tensor.rows(shared.lowerBound - start..<shared.upperBound - start))
            ]
        case .rows(let range):
            let start = range.lowerBound
            return [
                Inverse.Run(
                    rows: run.rows.lowerBound + start..<run.rows.upperBound + start, tensor: run.tensor)
            ]
        case .cast(let type):
            guard operand.type.isExact(in: type) else {
                throw .lost("it was rounded from \(operand.type.rawValue) to \(type.rawValue)")
            }
            return [Inverse.Run(rows: run.rows, tensor: try run.tensor.cast(to: operand.type))]
        case .transposed:
            guard operand.shape.count > 2 || run.rows.count == operand.shape.last else {
                throw .lost("only some of its columns are in the result")
            }
            return [
                Inverse.Run(
                    rows: operand.shape.count > 2 ? run.rows : 0..<operand.shape[0],
                    tensor: try run.tensor.transposed())
            ]
        case .reshaped: return try reshaped(run, to: operand)
        case .derived(.gathered(let rows)): return try gathered(run, rows)
        case .zeros, .derived: return []
        case .scaled: throw .lost("it was multiplied by a factor")
        case .noised: throw .lost("noise was mixed in")
        case .dequantized: throw .lost("it was quantised, and its scales are no longer apart")
        case .weighted, .added: throw .lost("others were added to it")
        case .interpolated: throw .lost("it was mixed with another")
        }
    }

    private func reshaped(_ run: Inverse.Run, to operand: Provenance) throws(UserFacingError) -> [Inverse.Run]
    {
        let height = operand.shape.first ?? 1
        let width = operand.elementCount / max(height, 1)
        let own = run.tensor.elementCount / max(run.rows.count, 1)
        let (start, count) = (run.rows.lowerBound * own, run.tensor.elementCount)
        guard width > 0, start % width == 0, count % width == 0 else {
            throw .lost("only parts of its rows are in the result")
        }
        let shape = operand.shape.isEmpty ? [] : [count / width] + operand.shape.dropFirst()
        return [
            Inverse.Run(
                rows: start / width..<(start + count) / width, tensor: try run.tensor.reshaped(to: shape))
        ]
    }

    /// The runs of neighbouring rows among those that were gathered.
    private func gathered(_ run: Inverse.Run, _ rows: [Int32]) throws(UserFacingError) -> [Inverse.Run] {
        // The first of several copies of a row.
        var places = run.rows.map { (row: Int(rows[$0]), place: Int32($0 - run.rows.lowerBound)) }
        places.sort { ($0.row, $0.place) < ($1.row, $1.place) }
        var result: [Inverse.Run] = []
        var start = 0
        while start < places.count {
            var chosen = [places[start].place]
            var next = start + 1
            let first = places[start].row
            while next < places.count, places[next].row < first + chosen.count + 1 {
                if places[next].row == first + chosen.count { chosen.append(places[next].place) }
                next += 1
            }
            let isRun = chosen.indices.allSatisfy { Int(chosen[$0]) == Int(chosen[0]) + $0 }
            let begin = Int(chosen[0])
            let tensor =
                isRun
                ? try run.tensor.rows(begin..<begin + chosen.count)
                : try run.tensor.derived(.gathered(chosen))
            result.append(Inverse.Run(rows: first..<first + chosen.count, tensor: tensor))
            start = next
        }
        return result
    }
}

extension ElementType {
    /// Whether every number of this type is one of another, so that it comes back from there as it was.
    fileprivate func isExact(in other: ElementType) -> Bool {
        switch (self, other) {
        case (.f16, .f32), (.bf16, .f32), (.f16, .f64), (.bf16, .f64), (.f32, .f64): true
        default: self == other
        }
    }
}

// MARK: - Errors

// Why a result can't be undone.
extension UserFacingError {
    /// The manifest keeps nothing of the source's files.
    package static func nothingKept(path: String) -> Self {
        Self(
            .unsupported,
            "\(path) can't be undone: its \(Manifest.fileName) keeps nothing of the source's files; the model was made in "
                + "memory, or by an older version")
    }

    /// The source's file can't be put together of tensors.
    package static func notKept(file: String) -> Self {
        Self(
            .unsupported,
            "\(file) can't be made again: its tensors did not lie in it as they are (they were packed, or in another order of "
                + "bytes), and \(Manifest.fileName) does not keep how")
    }

    /// A manifest has two accounts of one tensor.
    package static func twoSourceTensors(_ tensor: String) -> Self {
        Self(
            .malformed,
            "\(Manifest.fileName) has two types, shapes or places of the source's tensor '\(tensor)'; it was edited"
        )
    }

    /// A tensor does not fit into the file it should be of.
    package static func doesNotFit(_ tensor: String, file: String) -> Self {
        Self(
            .malformed,
            "\(Manifest.fileName) has tensor '\(tensor)' at a place in \(file) where it does not fit; it was edited"
        )
    }

    /// What has become of rows that are not there as they were.
    fileprivate static func lost(_ reason: String) -> Self { Self(.inconsistent, reason) }
}

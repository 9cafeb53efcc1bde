import OrderedCollections

/// Every file of a result before the first byte is written: names, sizes, and where each byte comes from.
public struct WritePlan: Sendable {
    /// A file of the result.
    public struct File: Sendable {
        /// Its name inside the result's folder.
        public let name: String
        /// Its size.
        public let byteCount: Int
        /// The tensors in it, in the order of their data; none for files that are no weights.
        public let tensors: [String]
        /// Its parts, one behind the other.
        let segments: [Segment]
        /// SHA-256 of what its bytes have to be; nil when that is not known before.
        var sha256: String?
    }

    /// A run of bytes in a file.
    struct Segment: Sendable {
        /// Where the bytes come from.
        enum Content: Sendable {
            /// These.
            case bytes([UInt8])
            /// A part of another file.
            case copy(FileRange)
            /// A part of a tensor, which has to be computed.
            case computed(TensorExpression, Range<Int>, tensor: String)
            /// The manifest, whose checksums are known last.
            case manifest
        }

        let content: Content
        /// Where it begins in the file.
        let offset: Int
        /// How many bytes it has.
        let count: Int

        /// How much work it is to write what of it is not written yet; see ``WorkObserver``.
        ///
        /// - Parameter start: where in the file that begins.
        /// - Returns: bytes that are written, and what computing them is worth.
        func work(from start: Int) -> Int {
            let rest = min(count, max(0, offset + count - start))
            guard case .computed(let tensor, _, _) = content, tensor.byteCount > 0 else { return rest }
            return rest + Int(Double(tensor.computation) * Double(rest) / Double(tensor.byteCount))
        }
    }

    /// Where the result goes.
    public let output: String
    /// Its files in the order in which they are written.
    public let files: [File]
    /// How the tensors are made; nil when nothing was done to the model, so that there is nothing to prove.
    public let manifest: Manifest?
    /// How many numbers the tensors have.
    public let parameterCount: Int
    /// What lies beside the source and does not come along.
    public let skippedFiles: [SkippedFile]
    /// The files that tensors come from, in the order in which the manifest counts them.
    let sources: [InputFile]
    /// What the model was opened from, whether or not anything of it is still in the result.
    let origin: WriteOrigin
    /// Folders beside the output that are written to while it is made.
    package var workFolders: [String] = []

    /// The sizes of all files together.
    public var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

    /// Whether its output is there already: all its files in their sizes, and a manifest that tells the same.
    public var isCarriedOut: Bool {
        guard let manifest, let written = try? Manifest.read(path: Path.join(output, Manifest.fileName)),
            written.withPlaceholders(false) == manifest.withPlaceholders(false)
        else { return false }
        return files.allSatisfy { file in
            file.name == Manifest.fileName
                || (try? InputFile(path: Path.join(output, file.name)).size) == file.byteCount
        }
    }

    /// Every file that something is taken from, and those that the model was opened from.
    var sourceFiles: [InputFile] {
        var list = SourceList()
        for file in origin.files { _ = list.place(of: file) }
        for segment in files.lazy.flatMap(\.segments) {
            switch segment.content {
            case .copy(let range): _ = list.place(of: range.file)
            case .computed(let tensor, _, _):
                tensor.forEachLeaf { if let origin = $0.origin { _ = list.place(of: origin.file) } }
            case .bytes, .manifest: break
            }
        }
        return list.files
    }

    /// How many of the bytes are copied as they are, without passing through memory.
    public var copiedByteCount: Int {
        var sum = 0
        for segment in files.lazy.flatMap(\.segments) {
            if case .copy = segment.content { sum += segment.count }
        }
        return sum
    }
}

/// What a model was opened from.
struct WriteOrigin: Sendable {
    /// Its folder; nil when it was a bare file, or made in memory.
    let folder: String?
    /// Whether that folder is a model: it may not have a result inside, as the folder of a mere configuration may.
    let isModel: Bool
    /// What else is read to make it: see ``Checkpoint/otherSources``.
    let others: [String]
    /// Its weights files, and the files beside them that belong to it.
    let files: [InputFile]

    init(_ checkpoint: Checkpoint) {
        let isOpened = !checkpoint.sources.isEmpty || checkpoint.configuration != nil
        folder = isOpened && FileSystem.kind(of: checkpoint.path) == .folder ? checkpoint.path : nil
        isModel = !checkpoint.sources.isEmpty
        others = checkpoint.otherSources
        files =
            checkpoint.sources
            + checkpoint.auxiliaryFiles.compactMap { auxiliaryFile in
                if case .file(let file) = auxiliaryFile.content { file } else { nil }
            }
    }
}

// MARK: - Laying out

extension WritePlan {
    /// Lays out a model's files.
    ///
    /// - Throws: ``UserFacingError`` when the model can't be written in its format.
    init(_ model: Checkpoint, to output: String, options: WriteOptions) throws(UserFacingError) {
        let checkpoint = try model.stored()
        guard !checkpoint.tensors.isEmpty else { throw .nothingToWrite }
        var files =
            if let structure = checkpoint.format.structure {
                try Self.hdf5Files(of: checkpoint, structure, shardSize: options.shardSize)
            } else {
                try Self.safetensorsFiles(of: checkpoint, shardSize: options.shardSize)
            }
        if let configuration = checkpoint.configuration {
            files.append(File(Configuration.fileName, configuration.serialized()))
        }
        files += checkpoint.auxiliaryFiles.map(File.init)
        (manifest, sources) = try Self.manifest(
            of: checkpoint, output: output, tool: options.tool, files: files)
        if let manifest {
            let count = manifest.withPlaceholders(options.checksums).serialized().count
            files.append(
                File(
                    name: Manifest.fileName, byteCount: count, tensors: [],
                    segments: [Segment(content: .manifest, offset: 0, count: count)]))
        }
        self.output = output
        self.files = files
        parameterCount = checkpoint.parameterCount
        skippedFiles = checkpoint.skippedFiles
        origin = WriteOrigin(checkpoint)
    }

    private static func safetensorsFiles(
        of checkpoint: Checkpoint, shardSize: Int
    ) throws(UserFacingError) -> [File] {
        if checkpoint.tensors[SafetensorsHeader.metadataKey] != nil {
            throw .reservedName(SafetensorsHeader.metadataKey)
        }
        let shards = split(
            checkpoint.tensors.keys, sizes: { checkpoint.tensors[$0]?.byteCount ?? 0 }, into: shardSize)
        let names = shards.indices.map { Self.name(ofShard: $0, of: shards.count) }
        var files: [File] = []
        for (name, tensors) in zip(names, shards) { files.append(try File(name, tensors, of: checkpoint)) }
        if shards.count > 1 {
            files.append(File(SafetensorsIndex.fileName, Self.index(names, shards, of: checkpoint)))
        }
        return files
    }

    /// The name that Hugging Face gives a weights file.
    private static func name(ofShard index: Int, of count: Int) -> String {
        count == 1 ? "model.safetensors" : "model-\(digits(index + 1))-of-\(digits(count)).safetensors"
    }

    /// A number as it stands in the names of shards: with zeros in front, five digits.
    static func digits(_ number: Int) -> String {
        String(repeating: "0", count: max(0, 5 - String(number).utf8.count)) + String(number)
    }

    private static func index(_ names: [String], _ shards: [[String]], of checkpoint: Checkpoint) -> [UInt8] {
        var map: [(String, String)] = []
        for (name, tensors) in zip(names, shards) { map += tensors.map { ($0, name) } }
        var weights = JSONObject()
        for (tensor, name) in map.sorted(by: { $0.0 < $1.0 }) { weights[tensor] = .string(name) }
        let index: JSON = [
            "metadata": [
                "total_parameters": JSON(checkpoint.parameterCount), "total_size": JSON(checkpoint.byteCount),
            ],
            "weight_map": .object(weights),
        ]
        return index.serialized() + [UInt8(ascii: "\n")]
    }

    /// The manifest without checksums, and the files it counts.
    static func manifest(
        of checkpoint: Checkpoint, output: String, tool: String, files: [File]
    ) throws(UserFacingError) -> (Manifest?, [InputFile]) {
        if checkpoint.operations.isEmpty { return (nil, []) }
        var list = SourceList()
        var provenance: OrderedDictionary<String, Provenance> = [:]
        provenance.reserveCapacity(checkpoint.tensors.count)
        for (name, tensor) in checkpoint.tensors { provenance[name] = tensor.provenance(&list) }
        let sources = list.files.map {
            Manifest.Source(path: Path.relative($0.path, from: output), bytes: $0.size)
        }
        let earlier = checkpoint.manifest.map { $0.history + $0.operations } ?? []
        let manifest = Manifest(
            tool: tool, history: earlier, operations: checkpoint.operations, sources: sources,
            provenance: provenance,
            original: try original(of: checkpoint, sources: list.files, provenance.values, files))
        return (manifest, list.files)
    }

    /// What the manifest keeps of the files that the model was opened from.
    private static func original(
        of checkpoint: Checkpoint, sources: [InputFile], _ provenance: some Sequence<Provenance>,
        _ files: [File]
    ) throws(UserFacingError) -> OriginalFiles? {
        guard let opened = checkpoint.opened else { return nil }
        var taken = [Set<String>](repeating: [], count: sources.count)
        for tree in provenance {
            tree.forEachLeaf { leaf in
                if case .copied(let file, let tensor, _) = leaf { taken[file].insert(tensor) }
            }
        }
        return try OriginalFiles(of: opened, sources: sources, taken: taken) { name in
            files.first { $0.name == name }?.auxiliaryFile
        }
    }
}

extension WritePlan.File {
    /// A file of weights.
    fileprivate init(_ name: String, _ tensors: [String], of checkpoint: Checkpoint) throws(UserFacingError) {
        let members = tensors.compactMap { name in
            checkpoint.tensors[name].map { (name: name, expression: $0) }
        }
        let layout = SafetensorsLayout(members, metadata: checkpoint.metadata)
        guard layout.header.count - 8 <= SafetensorsHeader.largestHeader else {
            throw .headerTooLarge(file: name, bytes: layout.header.count - 8)
        }
        var list = SegmentList()
        list.append(.bytes(layout.header), count: layout.header.count)
        for tensor in layout.names {
            for part in checkpoint.tensors[tensor]?.parts(named: tensor) ?? [] {
                list.append(part.content, count: part.count)
            }
        }
        self.init(name: name, byteCount: list.byteCount, tensors: layout.names, segments: list.segments)
    }

    /// A file of these bytes.
    init(_ name: String, _ bytes: [UInt8]) {
        var list = SegmentList()
        list.append(.bytes(bytes), count: bytes.count)
        self.init(name: name, byteCount: bytes.count, tensors: [], segments: list.segments)
    }

    /// The same as a file that is read whole; nil when it is made of tensors.
    fileprivate var auxiliaryFile: AuxiliaryFile? {
        guard tensors.isEmpty, segments.count <= 1 else { return nil }
        switch segments.first?.content {
        case .bytes(let bytes): return AuxiliaryFile(name: name, content: .bytes(bytes))
        case .copy(let range): return AuxiliaryFile(name: name, content: .file(range.file))
        case nil: return AuxiliaryFile(name: name, content: .bytes([]))
        case .computed, .manifest: return nil
        }
    }

    /// A file that comes along.
    fileprivate init(_ auxiliaryFile: AuxiliaryFile) {
        switch auxiliaryFile.content {
        case .bytes(let bytes): self.init(auxiliaryFile.name, bytes)
        case .file(let file):
            var list = SegmentList()
            list.append(.copy(FileRange(file: file, offset: 0, count: file.size)), count: file.size)
            self.init(name: auxiliaryFile.name, byteCount: file.size, tensors: [], segments: list.segments)
        }
    }
}

// MARK: - Segments

extension TensorExpression {
    /// The parts that a tensor's bytes fall into: what can be copied, and what has to be computed.
    func parts(named tensor: String) -> [(content: WritePlan.Segment.Content, count: Int)] {
        parts(0..<byteCount, named: tensor)
    }

    private func parts(
        _ bytes: Range<Int>, named tensor: String
    ) -> [(content: WritePlan.Segment.Content, count: Int)] {
        if bytes.isEmpty { return [] }
        if case .leaf(let storage) = node, let range = storage.fileRange {
            return [(.copy(range.extracting(bytes)), bytes.count)]
        }
        if let parts = operandParts(bytes) {
            return parts.flatMap { $0.tensor.parts($0.bytes, named: tensor) }
        }
        return [(.computed(self, bytes, tensor: tensor), bytes.count)]
    }
}

/// Collects the segments of a file, joining ranges that follow each other in their source, too.
struct SegmentList {
    private(set) var segments: [WritePlan.Segment] = []
    private(set) var byteCount = 0

    mutating func append(_ content: WritePlan.Segment.Content, count: Int) {
        if count == 0 { return }
        if case .copy(let next) = content, let last = segments.last, case .copy(let previous) = last.content,
            previous.file === next.file, previous.offset + previous.count == next.offset
        {
            segments.removeLast()
            let whole = FileRange(
                file: next.file, offset: previous.offset, count: previous.count + next.count)
            segments.append(.init(content: .copy(whole), offset: last.offset, count: whole.count))
        } else {
            segments.append(.init(content: content, offset: byteCount, count: count))
        }
        byteCount += count
    }
}

// MARK: - Fingerprint

extension WritePlan {
    /// What tells this plan from any other: the same when and only when it would write the same bytes.
    ///
    /// Nil when a part is computed from something that does not say what it is.
    var fingerprint: String? {
        var text = "\(Path.absolute(output))\n"
        for file in files {
            text += "\(file.name)\n"
            for segment in file.segments {
                guard let content = segment.content.fingerprint else { return nil }
                text += "\(segment.offset) \(segment.count) \(content)\n"
            }
        }
        if let manifest { text += FileDigest.sha256(manifest.serialized()) }
        return FileDigest.sha256(Array(text.utf8))
    }
}

extension WritePlan.Segment.Content {
    fileprivate var fingerprint: String? {
        switch self {
        case .bytes(let bytes): FileDigest.sha256(bytes)
        case .copy(let range): range.fingerprint
        case .computed(let tensor, let bytes, let name):
            tensor.fingerprint.map { "\(name) \(bytes.lowerBound) \(bytes.count) \($0)" }
        case .manifest: "manifest"
        }
    }
}

extension FileRange {
    /// The version of the file, whatever it is called, and the place in it.
    var fingerprint: String { "\(file.identity) \(offset) \(count)" }
}

extension TensorExpression {
    fileprivate var fingerprint: String? {
        fold { storage, tree in
            let content =
                storage.fileRange?.fingerprint ?? storage.fingerprint.map { storage.name + $0 }
            return content.map { "\(tree.type.rawValue)\(tree.shape):\($0)" }
        } made: { operation, operands, tree in
            let known = operands.compactMap(\.self)
            guard known.count == operands.count else { return nil }
            // A rule for many rows is long, and a tree is told from others by the digests of its branches.
            let content = FileDigest.sha256(operation.json.serialized(indent: nil))
            return "\(tree.type.rawValue)\(tree.shape):\(content)(\(known.joined(separator: ",")))"
        }
    }
}

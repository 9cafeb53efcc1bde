import OrderedCollections

extension WritePlan {
    /// Lays out a model's files.
    ///
    /// - Throws: ``WriteError`` when the model can't be written in its format.
    init(_ checkpoint: Checkpoint, to output: String, options: WriteOptions) throws(WriteError) {
        guard !checkpoint.tensors.isEmpty else { throw .empty }
        var files =
            if let structure = checkpoint.structure {
                try Self.hdf5Files(of: checkpoint, structure, shardSize: options.shardSize)
            } else {
                try Self.safetensorsFiles(of: checkpoint, shardSize: options.shardSize)
            }
        if let configuration = checkpoint.configuration {
            files.append(File(Configuration.fileName, configuration.serialized()))
        }
        files += checkpoint.companions.map(File.init)
        (manifest, sources) = Self.manifest(of: checkpoint, output: output, tool: options.tool)
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
        leftOut = checkpoint.leftOut
        origin = WriteOrigin(checkpoint)
    }

    private static func safetensorsFiles(
        of checkpoint: Checkpoint, shardSize: Int
    ) throws(WriteError) -> [File] {
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
    private static func manifest(
        of checkpoint: Checkpoint, output: String, tool: String
    ) -> (Manifest?, [SourceFile]) {
        if checkpoint.operations.isEmpty { return (nil, []) }
        var list = SourceList()
        var recipes: OrderedDictionary<String, Recipe> = [:]
        recipes.reserveCapacity(checkpoint.tensors.count)
        for (name, tensor) in checkpoint.tensors { recipes[name] = tensor.recipe(&list) }
        let sources = list.files.map {
            Manifest.Source(path: Path.relative($0.path, from: output), bytes: $0.size)
        }
        let earlier = checkpoint.manifest.map { $0.history + $0.operations } ?? []
        let manifest = Manifest(
            tool: tool, history: earlier, operations: checkpoint.operations, sources: sources,
            tensors: recipes)
        return (manifest, list.files)
    }
}

extension WritePlan.File {
    /// A file of weights.
    fileprivate init(_ name: String, _ tensors: [String], of checkpoint: Checkpoint) throws(WriteError) {
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

    /// A file that comes along.
    fileprivate init(_ companion: Companion) {
        switch companion.content {
        case .bytes(let bytes): self.init(companion.name, bytes)
        case .file(let file):
            var list = SegmentList()
            list.append(.copy(FileRange(file: file, offset: 0, count: file.size)), count: file.size)
            self.init(name: companion.name, byteCount: file.size, tensors: [], segments: list.segments)
        }
    }
}

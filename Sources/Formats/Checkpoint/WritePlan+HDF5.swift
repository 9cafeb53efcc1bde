import OrderedCollections

extension WritePlan {
    /// Lays out a model's weights as HDF5: one file, or for Keras 3 several with an index, as Keras does it.
    static func hdf5Files(
        of checkpoint: Checkpoint, _ structure: HDF5Structure, shardSize: Int
    ) throws(WriteError) -> [File] {
        let names = checkpoint.tensors.keys
        let structure = structure.listing(names)
        let isSplit = structure.layout == .keras3 && checkpoint.byteCount > shardSize
        let shards =
            isSplit
            ? split(names, sizes: { checkpoint.tensors[$0]?.byteCount ?? 0 }, into: shardSize)
            : [Array(names)]
        let fileNames = shards.indices.map { index in
            shards.count == 1 ? structure.fileName : Self.kerasName(ofShard: index)
        }
        var files: [File] = []
        for (index, shard) in shards.enumerated() {
            let groups = structure.groups(for: shard, isFirst: index == 0, of: names)
            files.append(try File(fileNames[index], shard, of: checkpoint, structure, groups: groups))
        }
        if shards.count > 1 {
            files.append(File(KerasShardIndex.fileName, kerasIndex(fileNames, shards, of: checkpoint)))
        }
        return files
    }

    private static func kerasName(ofShard index: Int) -> String {
        let digits = String(index)
        return "model_\(String(repeating: "0", count: max(0, 5 - digits.utf8.count)))\(digits).weights.h5"
    }

    /// Which file holds the variables of which group, and which files where they lie in several.
    private static func kerasIndex(
        _ names: [String], _ shards: [[String]], of checkpoint: Checkpoint
    ) -> [UInt8] {
        var files: OrderedDictionary<String, OrderedSet<String>> = [:]
        for (name, tensors) in zip(names, shards) {
            for tensor in tensors { files["/" + Path.parent(tensor), default: []].append(name) }
        }
        var map = JSONObject()
        for (group, names) in files {
            map[group] = names.count == 1 ? .string(names[0]) : .array(names.map { .string($0) })
        }
        let index: JSON = [
            "metadata": ["total_size": JSON(checkpoint.byteCount)], "weight_map": .object(map),
        ]
        return index.serialized(indent: 4)
    }
}

extension WritePlan.File {
    /// An HDF5 file of weights.
    fileprivate init(
        _ name: String, _ tensors: [String], of checkpoint: Checkpoint, _ structure: HDF5Structure,
        groups: OrderedDictionary<String, [HDF5Attribute]>
    ) throws(WriteError) {
        let members = tensors.compactMap { name in
            checkpoint.tensors[name].map { (name: name, expression: $0) }
        }
        let layout = try HDF5Layout(members, structure: structure, groups: groups)
        var list = SegmentList()
        for part in layout.parts {
            switch part {
            case .bytes(let bytes): list.append(.bytes(bytes), count: bytes.count)
            case .tensor(let tensor):
                for part in checkpoint.tensors[tensor]?.parts(named: tensor) ?? [] {
                    list.append(part.content, count: part.count)
                }
            }
        }
        self.init(name: name, byteCount: list.byteCount, tensors: tensors, segments: list.segments)
    }
}

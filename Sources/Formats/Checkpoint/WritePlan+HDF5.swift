import OrderedCollections

extension WritePlan {
    /// Lays out a model's weights as HDF5: one file, or for Keras 3 several with an index, as Keras does it.
    static func hdf5Files(
        of checkpoint: Checkpoint, _ structure: HDF5Structure, shardSize: Int
    ) throws(UserFacingError) -> [File] {
        let names = checkpoint.tensors.keys
        let isSplit =
            structure.layout == .tensorFlowShards
            || structure.layout == .keras3 && checkpoint.byteCount > shardSize
        let shards =
            isSplit
            ? split(names, sizes: { checkpoint.tensors[$0]?.byteCount ?? 0 }, into: shardSize)
            : [Array(names)]
        var files: [File] = []
        for (index, shard) in shards.enumerated() {
            let listed = structure.listing(shard)
            let groups = listed.groups(for: shard, isFirst: index == 0, of: names)
            let name = structure.fileName(ofShard: index, of: shards.count)
            files.append(try File(name, shard, of: checkpoint, listed, groups: groups))
        }
        let fileNames = files.map(\.name)
        switch structure.layout {
        case .tensorFlowShards:
            files.append(
                File(TensorFlowIndex.fileName, TensorFlowIndex.bytes(fileNames, shards, of: checkpoint)))
        case .keras3 where shards.count > 1:
            files.append(
                File(KerasShardIndex.fileName, KerasShardIndex.bytes(fileNames, shards, of: checkpoint)))
        case .keras3, .keras2, .plain: break
        }
        return files
    }
}

extension HDF5Structure {
    /// What a file is called that holds a part of a model, or all of it.
    fileprivate func fileName(ofShard index: Int, of count: Int) -> String {
        switch layout {
        case .tensorFlowShards:
            "tf_model-\(WritePlan.digits(index + 1))-of-\(WritePlan.digits(count)).h5"
        case .keras3 where count > 1: "model_\(WritePlan.digits(index)).weights.h5"
        case .keras3, .keras2, .plain: fileName
        }
    }
}

extension WritePlan.File {
    /// An HDF5 file of weights.
    fileprivate init(
        _ name: String, _ tensors: [String], of checkpoint: Checkpoint, _ structure: HDF5Structure,
        groups: OrderedDictionary<String, [HDF5Attribute]>
    ) throws(UserFacingError) {
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

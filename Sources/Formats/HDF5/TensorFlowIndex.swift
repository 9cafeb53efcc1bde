internal import OrderedCollections

/// The index of a TensorFlow model of Hugging Face in several files: which file holds which weight.
///
/// A weight's name in the index may begin with the name of the model's class, which it has not in the files.
/// Source: transformers 4, src/transformers/modeling_tf_utils.py, `tf_shard_checkpoint`.
enum TensorFlowIndex {
    /// What Hugging Face calls it.
    static let fileName = "tf_model.h5.index.json"

    /// Checks that the files hold exactly the weights that the index promises.
    static func check(_ index: SafetensorsIndex, _ files: [WeightsFile]) throws(UserFacingError) {
        let promised = Dictionary(grouping: index.shards, by: \.value)
        for file in files {
            let name = file.file.name
            let weights = promised[name]?.map(\.key) ?? []
            let byEnd = Dictionary(weights.map { (withoutClass($0), $0) }) { first, _ in first }
            var left = Set(weights)
            for tensor in file.tensors where left.remove(tensor.name) == nil {
                guard let weight = byEnd[tensor.name], left.remove(weight) != nil else {
                    throw .tensorUnnamed(index: index.path, tensor: tensor.name, shard: name)
                }
            }
            if let missing = left.min() {
                throw .tensorMissing(index: index.path, tensor: missing, shard: name)
            }
        }
    }

    /// The name without its first level, as the files have it; names of one level, or with a dot, are kept.
    private static func withoutClass(_ weight: String) -> String {
        guard !weight.contains("model."), let slash = weight.firstIndex(of: "/") else { return weight }
        return String(weight[weight.index(after: slash)...])
    }

    /// The index of files.
    static func bytes(_ names: [String], _ shards: [[String]], of checkpoint: Checkpoint) -> [UInt8] {
        var map = JSONObject()
        for (name, tensors) in zip(names, shards) {
            for tensor in tensors { map[tensor] = .string(name) }
        }
        let index: JSON = [
            "metadata": ["total_size": JSON(checkpoint.byteCount)], "weight_map": .object(map),
        ]
        return index.serialized(indent: 2)
    }
}

import OrderedCollections

/// The index of Keras 3 weights in several files, `model.weights.json`: which file holds the variables of which layer.
///
/// Source: keras/src/saving/saving_lib.py, ShardedH5IOStore.
struct KerasShardIndex {
    /// What KerasHub calls it.
    static let fileName = "model.weights.json"
    /// What KerasHub calls weights in one file.
    static let wholeName = "model.weights.h5"

    private let path: String
    /// The files that hold each group of variables, as in `/layers/dense/vars`.
    private let shards: OrderedDictionary<String, [String]>

    /// Reads an index.
    ///
    /// - Throws: ``UserFacingError`` when it is none, or names files outside its folder.
    init(path: String) throws(UserFacingError) {
        let json = try JSON.read(path: path, duplicates: .refused)
        guard let map = json["weight_map"]?.object, !map.isEmpty else {
            throw .badIndex(
                path: path, reason: "it has no object \"weight_map\" that says which file holds what")
        }
        var shards: OrderedDictionary<String, [String]> = [:]
        for (group, value) in map {
            let names = value.array?.map(\.string) ?? [value.string]
            let files = names.compactMap(\.self).filter {
                !$0.isEmpty && !$0.hasPrefix(".") && !$0.contains("/")
            }
            guard files.count == names.count, !files.isEmpty else {
                throw .badIndex(
                    path: path,
                    reason: "'\(group)' has \(value.kind) where names of files beside the index are expected")
            }
            shards[group] = files
        }
        self.path = path
        self.shards = shards
    }

    /// The names of the files, each once, sorted.
    var files: [String] { Set(shards.values.joined()).sorted() }

    /// How many groups of variables lie in a file.
    func count(in file: String) -> Int { shards.values.count { $0.contains(file) } }

    /// Checks that the files hold exactly the variables that the index promises.
    func check(_ files: [WeightsFile]) throws(UserFacingError) {
        var found: [String: Set<String>] = [:]
        for file in files {
            for tensor in file.tensors {
                let group = "/" + Path.parent(tensor.name)
                guard let promised = shards[group] else {
                    throw .tensorUnnamed(index: path, tensor: tensor.name, shard: file.file.name)
                }
                guard promised.contains(file.file.name) else {
                    throw .tensorElsewhere(
                        index: path, tensor: tensor.name, promised: promised[0], found: file.file.name)
                }
                found[group, default: []].insert(file.file.name)
            }
        }
        for (group, names) in shards {
            for name in names where found[group]?.contains(name) != true {
                throw .tensorMissing(index: path, tensor: group, shard: name)
            }
        }
    }

    /// The index of files: which holds the variables of which group, and which of them where they lie in several.
    static func bytes(
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

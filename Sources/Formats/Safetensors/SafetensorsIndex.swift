public import OrderedCollections

/// The index of a model in several safetensors files: which file holds which tensor.
public struct SafetensorsIndex: Sendable {
    /// The name that Hugging Face gives it.
    public static let fileName = "model.safetensors.index.json"

    /// Where it was read.
    public let path: String
    /// The file of each tensor, as the index lists them.
    public let shards: OrderedDictionary<String, String>

    /// Reads an index.
    ///
    /// - Throws: ``UserFacingError`` when it is no index, or names files outside its folder.
    public init(path: String) throws(UserFacingError) {
        let json = try JSON.read(path: path, duplicates: .refused)
        guard let map = json["weight_map"]?.object else {
            throw .badIndex(
                path: path, reason: "it has no object \"weight_map\" that says which file holds which tensor")
        }
        var shards: OrderedDictionary<String, String> = [:]
        shards.reserveCapacity(map.count)
        for (tensor, file) in map {
            guard let name = file.string, !name.isEmpty, !name.hasPrefix("."), !name.contains("/") else {
                throw .badIndex(
                    path: path,
                    reason:
                        "tensor '\(tensor)' has \(file.kind) where the name of a file beside the index is expected"
                )
            }
            if shards.updateValue(name, forKey: tensor) != nil {
                throw .badIndex(
                    path: path, reason: "two tensors are called '\(tensor)' but for their Unicode form")
            }
        }
        guard !shards.isEmpty else { throw .badIndex(path: path, reason: "it names no tensor") }
        self.path = path
        self.shards = shards
    }

    /// The names of the files, each once, sorted.
    public var files: [String] { Set(shards.values).sorted() }

    /// Checks that the files hold exactly the tensors that the index promises.
    func check(_ files: [WeightsFile]) throws(UserFacingError) {
        var found: [String: String] = [:]
        // What lies in two files is said to, whichever of them the index names.
        for file in files {
            for entry in file.tensors {
                if let first = found.updateValue(file.file.name, forKey: entry.name) {
                    throw .tensorTwice(
                        index: path, tensor: entry.name, first: first, second: file.file.name,
                        promised: shards[entry.name])
                }
            }
        }
        for (tensor, shard) in shards where found[tensor] == nil {
            throw .tensorMissing(index: path, tensor: tensor, shard: shard)
        }
        for file in files {
            for entry in file.tensors {
                let name = file.file.name
                guard let promised = shards[entry.name] else {
                    throw .tensorUnnamed(index: path, tensor: entry.name, shard: name)
                }
                guard promised == name else {
                    throw .tensorElsewhere(index: path, tensor: entry.name, promised: promised, found: name)
                }
            }
        }
    }
}

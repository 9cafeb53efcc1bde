// Why a model could not be opened.
extension UserFacingError {
    /// Nothing is there.
    package static func nothingThere(path: String) -> Self {
        Self(
            .missing,
            "\(path) does not exist, nor is a model of that name in the hub's cache; name a model's folder, or a .safetensors or HDF5 file"
        )
    }

    /// There is a file, but of no kind that can be opened.
    package static func unknownFile(path: String) -> Self {
        Self(
            .unsupported,
            "\(path) is no .safetensors or HDF5 file; name one, or a folder that holds a model")
    }

    /// There is a folder, but no model in it; what lies there that may have been meant.
    package static func noModel(folder: String, found: [String]) -> Self {
        Self(
            .missing,
            "\(folder) holds no model: neither model.safetensors nor \(SafetensorsIndex.fileName), \(KerasShardIndex.wholeName) or another HDF5 file is there"
                + (found.isEmpty
                    ? ""
                    : ", only \(listed(found)), which can't be opened; convert the model to safetensors first")
        )
    }

    /// Several files and no index that says which belong together.
    package static func noIndex(folder: String, files: [String]) -> Self {
        Self(
            .missing,
            "\(folder) holds \(files.count) files of weights (\(listed(files))) but no index (\(SafetensorsIndex.fileName), \(KerasShardIndex.fileName)) that says which belong together; the download may be incomplete"
        )
    }

    /// The index is not one.
    package static func badIndex(path: String, reason: String) -> Self {
        Self(
            .malformed,
            "\(path) is no index of a model: \(reason)")
    }

    /// A file that the index names is not there.
    package static func shardMissing(index: String, shard: String, tensors: Int) -> Self {
        Self(
            .missing,
            "\(index) says that \(tensors) tensor\(tensors == 1 ? " is" : "s are") in \(shard), which is not there; download it"
        )
    }

    /// The file that should hold a tensor does not.
    package static func tensorMissing(index: String, tensor: String, shard: String) -> Self {
        Self(
            .inconsistent,
            "\(index) says that tensor '\(tensor)' is in \(shard), which does not hold it; index and file are of different models"
        )
    }

    /// A tensor lies in another file than the index says.
    package static func tensorElsewhere(index: String, tensor: String, promised: String, found: String)
        -> Self
    {
        Self(
            .inconsistent,
            "\(index) says that tensor '\(tensor)' is in \(promised), but it is in \(found); correct the index"
        )
    }

    /// Two files hold a tensor of one name.
    package static func tensorTwice(index: String, tensor: String, first: String, second: String) -> Self {
        Self(
            .inconsistent,
            "tensor '\(tensor)' is both in \(first) and in \(second), which \(index) names; remove one of the two"
        )
    }

    /// A file holds a tensor that the index does not name.
    package static func tensorUnnamed(index: String, tensor: String, shard: String) -> Self {
        Self(
            .inconsistent,
            "\(shard) holds tensor '\(tensor)', which \(index) does not name; index and file are of different models"
        )
    }

    /// Two names differ in nothing but their Unicode form.
    package static func sameName(path: String, tensor: String) -> Self {
        Self(
            .inconsistent,
            "\(path) has two tensors called '\(tensor)' but for their Unicode form")
    }
}

/// The first names of many.
private func listed(_ names: [String]) -> String {
    names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", …" : "")
}

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
                    : ", only \(listed(found.map(FileSelection.withFormat))), which can't be opened; convert the model to "
                        + "safetensors first")
        )
    }

    /// There is a folder, and in it what was trained on top of another model, which is not there.
    package static func adapterAlone(folder: String, base: String?) -> Self {
        Self(
            .unsupported,
            "\(folder) holds an adapter only, to be put on \(base ?? "a model that is not named"); merge it into that model "
                + "first (merge_and_unload in peft) and name the folder of the result"
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
    package static func tensorTwice(
        index: String, tensor: String, first: String, second: String, promised: String?
    ) -> Self {
        let names =
            switch promised {
            case first?: "names the one in \(first); remove it from \(second)"
            case second?: "names the one in \(second); remove it from \(first)"
            default: "names neither; remove one of them"
            }
        return Self(
            .inconsistent,
            "tensor '\(tensor)' is both in \(first) and in \(second), and \(index) \(names)"
        )
    }

    /// A file holds a tensor that the index does not name.
    package static func tensorUnnamed(index: String, tensor: String, shard: String) -> Self {
        Self(
            .inconsistent,
            "\(shard) holds tensor '\(tensor)', which \(index) does not list; add it to the index's weight_map, or "
                + "remove it from the file if it does not belong to the model"
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

public import OrderedCollections

/// What of HDF5 files is not tensors: groups and attributes, by which Keras finds the tensors again.
///
/// A checkpoint whose ``CheckpointFormat`` has one is written as HDF5.
public struct HDF5Structure: Sendable, Equatable {
    /// Who lays out files so.
    public enum Layout: Sendable, Equatable {
        /// Keras 3, `.weights.h5`: `layers/dense_1/vars/0` (keras/src/saving/saving_lib.py).
        case keras3
        /// Keras 1 and 2, `.h5`, and `tf_model.h5`: lists in the attributes `layer_names` and `weight_names`.
        case keras2
        /// Hugging Face's TensorFlow models in several files: `layer_names` of each lists its datasets
        /// (transformers 4, src/transformers/modeling_tf_utils.py, `load_tf_shard`).
        case tensorFlowShards
        /// Any tree of datasets.
        case plain
    }

    /// Who lays out files so.
    public var layout: Layout
    /// What stands before each tensor's name in the file: `model_weights/` where Keras 2 saved more than weights.
    public var prefix: String
    /// What a file of all tensors is called.
    public var fileName: String
    /// The attributes of each group by its path, in order; the root's path is empty.
    public var groups: OrderedDictionary<String, [HDF5Attribute]>
    /// The attributes of datasets by the tensor's name, where there are any.
    public var attributes: [String: [HDF5Attribute]]

    /// A structure of these parts.
    public init(
        layout: Layout, fileName: String, prefix: String = "",
        groups: OrderedDictionary<String, [HDF5Attribute]> = [:],
        attributes: [String: [HDF5Attribute]] = [:]
    ) {
        self.layout = layout
        self.fileName = fileName
        self.prefix = prefix
        self.groups = groups
        self.attributes = attributes
    }

    /// The structure of two files of one model; what both say, the first decides.
    func merging(_ other: HDF5Structure) -> HDF5Structure {
        var merged = self
        merged.fileName = layout == .keras3 ? KerasShardIndex.wholeName : "tf_model.h5"
        merged.groups.merge(other.groups) { first, _ in first }
        merged.attributes.merge(other.attributes) { first, _ in first }
        return merged
    }

    /// The groups on the way to a path, the root first, itself not among them.
    static func ancestors(of path: String) -> [String] {
        [""] + Path.ancestors(of: path)
    }
}

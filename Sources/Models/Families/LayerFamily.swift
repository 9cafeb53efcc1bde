internal import Formats

/// What there is to know of a family of models in order to operate on it.
public struct LayerFamily: Sendable {
    /// What people call the family.
    public let name: String
    /// The `model_type`s of its configurations, or the classes that a KerasHub preset names.
    public let modelTypes: [String]
    /// What may stand before a layer's number in tensor names; a family has several when its tensors are saved
    /// with and without the head, or inside a model of more than text.
    public let layerPrefixes: [String]
    /// The modules of a layer whose output is added to the residual stream, without the `.weight` or `.bias` part.
    ///
    /// A layer whose writers are zero does nothing.
    public let residualWriters: [String]
    /// The dimensions of some of its tensors, which show whether configuration and tensors agree.
    public let shapes: [TensorShape]
    /// What each layer of it is, where the configuration may leave that to the family's own rule.
    public let layerLists: [ImpliedLayerList]

    init(
        _ name: String, modelTypes: [String], layers: [String], writers: [String], shapes: [TensorShape],
        lists: [ImpliedLayerList] = []
    ) {
        self.name = name
        self.modelTypes = modelTypes
        layerPrefixes = layers
        residualWriters = writers
        self.shapes = shapes
        layerLists = lists
    }

    /// The family of a `model_type`; nil when it is not known.
    public static func family(modelType: String) -> LayerFamily? {
        (all + kerasHub).first { $0.modelTypes.contains(modelType) }
    }
}

/// The dimensions that a tensor of a family has.
public struct TensorShape: Sendable {
    /// A dimension as the configuration gives it.
    public enum Dimension: Sendable, Equatable {
        /// The tokens that have an embedding: `vocab_size`.
        case vocabulary
        /// The width of the residual stream: `hidden_size`.
        case hidden
        /// All query heads: heads × head dimension.
        case queries
        /// All key (or value) heads: key-value heads × head dimension.
        case keyValues
        /// Queries, keys and values in one.
        case queriesKeysValues
        /// The width of the feed-forward: `intermediate_size`.
        case feedForward
        /// The width of the feed-forward: `n_inner`, or four times the model's.
        case fourfold
        /// Gate and up projection in one.
        case gateAndUp
    }

    /// The end of the tensor's name; within a layer what follows its number.
    public let suffix: String
    /// Its dimensions, outermost first.
    public let dimensions: [Dimension]

    init(_ suffix: String, _ dimensions: Dimension...) {
        self.suffix = suffix
        self.dimensions = dimensions
    }
}

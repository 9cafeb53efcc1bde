public import Formats

/// What there is to know of a family of models: what it calls things, and how its config.json describes a transformer.
///
/// One file a family. Surgery, conversion and the trainer read these tables; none has one of its own.
public struct Family: Sendable {
    /// What people call the family.
    public let name: String
    /// The `model_type`s of its configurations.
    public let modelTypes: [String]
    /// What may stand before its tensors' names: a family has several when its tensors are saved with and without the
    /// head, or inside a model of more than text.
    public let prefixes: [String]
    /// What stands between a prefix and a layer's number.
    public let layers: String
    /// Its modules outside the layers; the head's name has no prefix.
    public let outerRows: [TensorRow]
    /// Its modules in a layer.
    public let layerRows: [TensorRow]
    /// What each layer is, where the configuration may leave that to the family's own rule.
    public let impliedLists: [ImpliedLayerList]
    /// Ends of the names of tensors that hold nothing to train and that follow from the configuration.
    public let derivedTensors: [String]
    /// Whether the head is the embedding where the configuration does not say.
    public let isTied: Bool
    /// The size of a head where the configuration does not say; the width shared among the heads when nil.
    public let headSize: Int?
    /// The setting with which a norm stands in the residual stream itself, so that no layer can do nothing; nil where none does.
    public let noIdentity: (key: String, value: JSON)?
    /// What KerasHub has of the family; several where it has several classes.
    let kerasHub: [KerasClass]
    /// Reads the configuration; nil where the trainer does not compute the family.
    let read: (@Sendable (inout ConfigurationReader) throws(UserFacingError) -> Architecture)?

    init(
        _ name: String, _ modelTypes: [String], prefixes: [String] = Self.llamaPrefixes,
        layers: String = "layers.", outer: [TensorRow], layer: [TensorRow],
        lists: [ImpliedLayerList] = [], derived: [String] = [], isTied: Bool = false,
        headSize: Int? = nil, noIdentity: (key: String, value: JSON)? = nil,
        kerasHub: [KerasClass] = [],
        read: (@Sendable (inout ConfigurationReader) throws(UserFacingError) -> Architecture)? = nil
    ) {
        self.name = name
        self.modelTypes = modelTypes
        self.prefixes = prefixes
        self.layers = layers
        outerRows = outer
        layerRows = layer
        impliedLists = lists
        derivedTensors = derived
        self.isTied = isTied
        self.headSize = headSize
        self.noIdentity = noIdentity
        self.kerasHub = kerasHub
        self.read = read
    }

    static let llamaPrefixes = ["model.", "", "language_model.model.", "model.language_model."]

    /// What may stand before a layer's number in tensor names.
    public var layerPrefixes: [String] { prefixes.map { $0 + layers } }

    /// Whether the trainer computes the family.
    public var isComputed: Bool { read != nil }

    /// The rows of a module, the likeliest first; a family has several where its files differ.
    public func rows(_ module: Module) -> [TensorRow] {
        (outerRows + layerRows).filter { $0.module == module }
    }

    /// What a module's tensors are called in one family or another, without what may stand before.
    ///
    /// - Parameters:
    ///   - module: the module.
    ///   - endings: which of a row's tensors are meant.
    /// - Returns: each name once, the names of the families that come first in ``all`` first.
    public static func names(
        of module: Module, endings: (TensorRow) -> [String] = { [$0.weight] }
    ) -> [String] {
        var names: [String] = []
        for row in all.flatMap({ $0.rows(module) }) {
            for name in endings(row).map({ row.name + $0 }) where !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// The family of a `model_type`; nil when it is not known.
    public static func named(_ modelType: String) -> Family? {
        all.first { $0.modelTypes.contains(modelType) }
    }
}

/// A configuration that was understood.
public struct DescribedModel: Sendable {
    /// The family of the text model.
    public let family: Family
    /// What it computes.
    public let architecture: Architecture
    /// What its user should know, a sentence each.
    public let notes: [String]
    /// Whether the text model is a part of a model of more than text, whose other tensors are not computed.
    public let isPart: Bool

    /// Reads a configuration.
    ///
    /// `path` is the checkpoint's, for messages.
    ///
    /// - Throws: ``UserFacingError``; a key that asks for something unknown is refused by name.
    public init(_ configuration: Configuration, path: String) throws(UserFacingError) {
        guard let root = configuration.json.object, let rootType = root["model_type"]?.string else {
            throw .noFamily(path: path)
        }
        if let found = configuration.quantizations.first {
            throw .unsupportedSetting(
                path: path, key: found.place, value: found.method.isEmpty ? "a quantisation" : found.method,
                reason:
                    "the trainer computes with the numbers themselves; make them of FP8 and MXFP4 by surgery convert --dequantize, or start "
                    + "from the model that was not quantised"
            )
        }
        var (values, type) = (root, rootType)
        if let text = root["text_config"]?.object {
            guard Self.wrappers.contains(rootType), let own = text["model_type"]?.string else {
                throw .unsupportedSetting(
                    path: path, key: "model_type", value: rootType,
                    reason: "the trainer knows text models inside \(Self.wrappers.joined(separator: ", "))")
            }
            (values, type) = (text, own)
            // What the whole says of its head holds for the text model.
            values["tie_word_embeddings"] =
                root["tie_word_embeddings"] ?? text["tie_word_embeddings"]
                ?? Self.isTiedByDefault(rootType).map { .bool($0) }
        }
        guard let family = Family.named(type), let read = family.read else {
            throw .unknownFamily(
                path: path, found: type, known: Family.all.filter { $0.read != nil }.flatMap(\.modelTypes))
        }
        var reader = ConfigurationReader(
            path: path, values: values, isPart: values != root, isTied: family.isTied,
            headSize: family.headSize)
        architecture = try read(&reader)
        try reader.refuseTheRest()
        self.family = family
        notes = reader.notes
        isPart = root["text_config"]?.object != nil
    }

    /// Models of more than text whose text model is computed like the family's own.
    private static let wrappers = ["gemma3", "mistral3", "llava"]

    /// Whether a model of more than text takes its head for the embedding; nil where its text model's family decides.
    static func isTiedByDefault(_ wrapper: String) -> Bool? { wrapper == "llava" ? nil : true }
}

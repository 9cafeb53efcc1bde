public import Formats
internal import Models
internal import OrderedCollections

/// One model of several, as a configuration file of mergekit says.
///
/// The model that it is applied to is the file's base: `base_model`, else the first model.
public struct Merge: SurgeryOperation {
    /// `merge`.
    public static let name = "merge"
    /// What it takes.
    public static let parameterList = [
        OperationParameter("config", .path, "the configuration file, as mergekit has it", isRequired: true),
        OperationParameter("seed", .integer, "what random numbers follow from"),
    ]

    /// The configuration file.
    public var config: String
    /// What random numbers follow from; nil for 0.
    public var seed: UInt64?

    private enum CodingKeys: String, CodingKey { case config, seed }

    /// A request.
    public init(config: String, seed: UInt64? = nil) {
        self.config = config
        self.seed = seed
    }

    /// The result, not written yet, and what is told of it.
    public func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome {
        let configuration = try MergeConfiguration.read(path: config)
        let models = try configuration.open(source, context)
        let vocabulary = try MergeVocabulary(configuration, models)
        var merger = Merger(configuration, models, vocabulary, seed: seed ?? 0)
        let tensors = try merger.tensors()
        try merger.checkFilters()
        var outcome = try vocabulary.base.following(try merger.plan())
        outcome.checkpoint.tensors = tensors
        let types = Set(tensors.values.filter(\.type.isFloatingPoint).map(\.type))
        let own = Set(source.tensors.values.filter(\.type.isFloatingPoint).map(\.type))
        let wanted = configuration.outputType ?? configuration.type
        if let type = wanted ?? (types.count == 1 && types != own ? types.first : nil) {
            let before = outcome.checkpoint.configuration
            outcome.checkpoint.configuration?.elementType = type
            outcome.changes += ConfigurationChange.differences(
                from: before?.json, to: outcome.checkpoint.configuration?.json, path: "")
        }
        outcome.changes = vocabulary.changes + outcome.changes
        try outcome.checkpoint.setChatTemplate(of: configuration, models)
        outcome.checkpoint.otherSources += models.dropFirst().map(\.checkpoint.path)
        tell(of: configuration, models, merger, &outcome)
        return outcome
    }

    private func tell(
        of configuration: MergeConfiguration, _ models: [MergeModel], _ merger: Merger,
        _ outcome: inout Outcome
    ) {
        outcome.plan = nil
        outcome.suffix = "merged"
        outcome.say("method", configuration.method.rawValue)
        for model in models {
            outcome.say(model.isBase ? "base" : "model", model.checkpoint.path)
        }
        outcome.say("layers", "\(merger.layers.count): \(merger.description)")
        outcome.facts["method"] = .string(configuration.method.rawValue)
        outcome.facts["models"] = .array(
            models.map { .string($0.name) })
        outcome.facts["merge_configuration"] = configuration.json
        if merger.isRandom { outcome.facts["seed"] = .string(String(seed ?? 0)) }
        outcome.facts["layers"] = .array(
            merger.layers.map { layer in .array(layer.map { [JSON($0.model), JSON($0.layer)] }) })
        outcome.warnings += merger.warnings
    }
}

/// A model of a merge, opened.
struct MergeModel: Sendable {
    /// What the configuration calls it.
    let name: String
    let model: MergeConfiguration.Model
    let isBase: Bool
    let checkpoint: Checkpoint
    let names: LayerNames
    let count: Int
    /// Of each layer its tensors, by what follows the layer's number.
    private(set) var layers: [OrderedDictionary<String, TensorExpression>]
    /// All others by name; those of layers that follow the last one by its number from there on.
    private(set) var others: OrderedDictionary<String, TensorExpression> = [:]

    init(
        _ model: MergeConfiguration.Model, _ checkpoint: Checkpoint, isBase: Bool
    ) throws(UserFacingError) {
        if let quantization = checkpoint.quantization {
            throw .quantized(path: checkpoint.path, quantization)
        }
        let group = try checkpoint.layers()
        (name, self.model, self.isBase, self.checkpoint) = (model.name, model, isBase, checkpoint)
        (names, count) = (group.names, group.count)
        layers = Array(repeating: [:], count: group.count)
        for (name, tensor) in checkpoint.tensors {
            if let (layer, rest) = names.parse(name) {
                if layer < count {
                    layers[layer][String(rest)] = tensor
                } else {
                    others["+\(layer - count).\(rest)"] = tensor
                }
            } else {
                others[name] = tensor
            }
        }
    }
}

extension MergeConfiguration {
    /// Where the base is: `base_model`, else the first model.
    public var basePath: String { models[0].path }

    /// Opens all models, the base first, which is there already.
    func open(
        _ source: Checkpoint, _ context: OperationContext
    ) throws(UserFacingError) -> [MergeModel] {
        let path = try HubCache.path(of: models[0].path)
        let base = FileSystem.resolved(path) ?? path
        guard source.operations.isEmpty, (FileSystem.resolved(source.path) ?? source.path) == base
        else {
            throw UserFacingError(
                .request,
                "\(file) merges into \(models[0].name), and the model given is \(source.path)"
                    + (source.operations.isEmpty ? "" : " after other steps")
                    + "; a merge is the first step of a recipe, whose model is the merge's base")
        }
        var opened = [try MergeModel(models[0], source, isBase: true)]
        for model in models.dropFirst() {
            let checkpoint = try Checkpoint.openModel(model.path)
            try context.checkAgreement(checkpoint)
            opened.append(try MergeModel(model, checkpoint, isBase: false))
        }
        for other in opened.dropFirst() { try other.checkKinship(to: opened[0]) }
        return opened
    }
}

extension MergeModel {
    /// Settings that no shape tells of, by which one family's models compute differently.
    private static let settings = [
        "num_attention_heads", "n_head", "num_key_value_heads", "head_dim", "hidden_act", "hidden_activation",
        "activation_function", "num_experts_per_tok", "attn_logit_softcapping", "final_logit_softcapping",
        "scale_embedding", "logits_scaling", "residual_multiplier", "embedding_multiplier",
        "attention_multiplier",
    ]

    /// Refuses a model of another family, or one that computes something else with the same shapes.
    func checkKinship(to base: MergeModel) throws(UserFacingError) {
        let (own, others) = (checkpoint.configuration, base.checkpoint.configuration)
        func differ(_ what: String, _ found: String, _ expected: String) -> UserFacingError {
            UserFacingError(
                .inconsistent,
                "\(name) and \(base.name) can't be merged: \(what) is \(found) in the one and \(expected) in the other"
            )
        }
        if own?.modelType != others?.modelType {
            throw differ("model_type", own?.modelType ?? "missing", others?.modelType ?? "missing")
        }
        let (mine, its) = (own?.languageModel ?? JSONObject(), others?.languageModel ?? JSONObject())
        if mine["model_type"] != its["model_type"] {
            throw differ(
                "the text model's model_type", mine["model_type"]?.text ?? "missing",
                its["model_type"]?.text ?? "missing")
        }
        for key in Self.settings {
            if let found = mine[key], let expected = its[key], found != expected {
                throw differ(key, found.text, expected.text)
            }
        }
        guard names == base.names else {
            throw differ("the name of layer 0", names.title(of: 0), base.names.title(of: 0))
        }
    }
}

extension Checkpoint {
    /// The same model with other layers, of which only configuration and format matter yet; nil leaves them.
    fileprivate func following(_ plan: LayerPlan?) throws(UserFacingError) -> Outcome {
        guard let plan else { return Outcome(self) }
        let arranged = try rearranged(plan)
        var outcome = Outcome(arranged.checkpoint)
        outcome.changes = arranged.changes
        return outcome
    }
}

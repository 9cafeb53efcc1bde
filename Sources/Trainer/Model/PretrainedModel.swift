public import Formats
public import Models
internal import OrderedCollections

/// A checkpoint that the trainer knows how to compute: opened and checked, its weights not read yet.
public struct PretrainedModel: Sendable {
    /// The model in Hugging Face's terms, and all that belongs to it.
    public private(set) var checkpoint: Checkpoint
    /// What it computes.
    public let architecture: Architecture
    /// Where its tensors lie when all of them are trained.
    public let layout: ParameterLayout
    /// What its user should know, a sentence each.
    public let notes: [String]
    private let naming: TensorNaming
    /// Whether it is the text model of a model of more than text, whose other tensors come along.
    private let isPart: Bool
    /// Whether the file has the head alone of an embedding that is the head, too.
    private let hasHeadAlone: Bool

    /// Opens the model at `path` and checks that its tensors are those that config.json calls for.
    ///
    /// - Throws: ``UserFacingError`` or ``UserFacingError``, naming the file, key or tensor.
    public static func open(_ path: String) throws -> PretrainedModel {
        try PretrainedModel(Checkpoint.open(path))
    }

    /// A model as a surgery or a file gave it.
    ///
    /// - Parameter source: a Hugging Face model, or a preset of KerasHub.
    /// - Throws: ``UserFacingError`` naming the key or tensor.
    public init(_ source: Checkpoint) throws(UserFacingError) {
        var checkpoint = try source.asHuggingFace()
        guard let settings = checkpoint.configuration else { throw .noFamily(path: checkpoint.path) }
        let described = try DescribedModel(settings, path: checkpoint.path)
        var (architecture, notes) = (described.architecture, described.notes)
        if let head = try checkpoint.ownHead() {
            architecture.head.isTied = false
            notes.append(Checkpoint.note(ofOwnHead: head, path: checkpoint.path))
        }
        let naming = TensorNaming(described.family, names: checkpoint.tensors.keys)
        let ends = (embedding: naming.weightName(of: .embedding), head: naming.weightName(of: .head))
        if architecture.head.isTied, checkpoint.tensors[ends.embedding] == nil,
            let head = checkpoint.tensors[ends.head]
        {
            checkpoint.tensors[ends.embedding] = head
            hasHeadAlone = true
        } else {
            hasHeadAlone = false
        }
        (self.checkpoint, self.architecture, self.notes) = (checkpoint, architecture, notes)
        (isPart, self.naming) = (described.isPart, naming)
        layout = try ParameterLayout(architecture, naming: naming)
        try check()
    }

    /// The model without a file that lies in its folder but is no part of it, such as the log of a run.
    func leavingOut(_ path: String) -> PretrainedModel {
        let place = Path.absolute(path)
        func isMeant(_ file: AuxiliaryFile) -> Bool {
            Path.absolute(Path.join(checkpoint.path, file.name)) == place
        }
        var model = self
        model.checkpoint.auxiliaryFiles.removeAll(where: isMeant)
        return model
    }

    /// What the model in a folder, or in the hub's cache by its name there, computes; reads config.json only.
    ///
    /// - Throws: `UserFacingError` or ``UserFacingError`` naming the key.
    public static func described(_ folder: String) throws -> DescribedModel {
        let folder = try HubCache.path(of: folder)
        guard FileSystem.kind(of: folder) == .folder else { throw UserFacingError.noFolder(path: folder) }
        let path = Path.join(folder, Configuration.fileName)
        let configuration = try Configuration(parsing: InputFile(path: path).bytes(), file: path)
        return try DescribedModel(configuration.asHuggingFace(path: folder), path: folder)
    }

    /// The length of sequences where none is asked for: 512 tokens, or as many as the model was made for.
    var usualLength: Int { min(512, architecture.maximumLength) }

    /// Whether the folder has a chat template, as instruction-tuned models do.
    public var looksInstructionTuned: Bool {
        if checkpoint.auxiliaryFiles.contains(where: { $0.name.hasPrefix("chat_template") }) { return true }
        guard let file = checkpoint.auxiliaryFiles.first(where: { $0.name == "tokenizer_config.json" }),
            let bytes = try? file.bytes(), let json = try? JSON(parsing: bytes, file: file.name)
        else { return false }
        return json["chat_template"].map { !$0.isNull } ?? false
    }

    /// Where its tensors lie when some of them are trained; the others are kept as the checkpoint has them.
    ///
    /// - Parameters:
    ///   - selection: what is trained.
    ///   - frozen: tensors that are not, whatever the selection says.
    ///   - masters: tensors that are kept in float32 where they are frozen, whatever the checkpoint has.
    ///   - gradients: how the gradients of the layers' matrices are kept.
    /// - Returns: the layout.
    /// - Throws: ``UserFacingError`` when a pattern names no tensor, or tensors that are computed as one only in part.
    public func layout(
        training selection: TensorSelection, but frozen: Set<String> = [],
        inFloat32 masters: Set<String> = [], gradients: GradientPrecision = .f32
    ) throws(UserFacingError) -> ParameterLayout {
        let names = layout.parameters.map(\.name)
        if selection != .none, let pattern = selection.unmatched(by: names).first {
            throw .noSuchTensor(path: checkpoint.path, pattern: pattern, example: names[0])
        }
        let checkpoint = checkpoint
        return try ParameterLayout(
            architecture, naming: naming,
            storage: ParameterLayout.Storage(
                gradients: gradients.precision, isTrained: { selection.contains($0) && !frozen.contains($0) },
                frozen: { name in
                    if masters.contains(name) { return .f32 }
                    return switch checkpoint.tensors[name]?.type {
                    case .bf16: .bf16
                    case .f16: .f16
                    default: .f32
                    }
                }))
    }

    /// Reads weights into a model of this shape.
    ///
    /// - Throws: ``UserFacingError`` when a tensor cannot be read or holds what is no finite number, or when
    ///   `isCancelled`, which is asked before each tensor, stopped it.
    public func load<Device: Engine>(
        into transformer: Transformer<Device>, isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) {
        for parameter in transformer.layout.parameters {
            guard let tensor = checkpoint.tensors[parameter.name] else { continue }
            if isCancelled() { throw .interrupted }
            let bad = try transformer.engine.load(
                parameter.isTransposed ? tensor.transposed() : tensor,
                into: transformer.weights(of: parameter))
            if let bad {
                throw .notFinite(
                    path: checkpoint.path, tensor: parameter.name, value: bad.value,
                    indices: parameter.indices(inFileOf: bad.index))
            }
        }
    }

    /// The model with another base of its rotary position embedding, for sequences of a length.
    ///
    /// Sequences may be longer than the model was made for: `max_position_embeddings` follows. Tables of frequencies that
    /// old files store are left out, for they follow from the base.
    ///
    /// - Throws: ``UserFacingError`` for a model of which it is not known what that means.
    func withRotaryBase(_ theta: Double, length: Int) throws(UserFacingError) -> PretrainedModel {
        guard var configuration = checkpoint.configuration else { return self }
        configuration = try configuration.withRotaryBase(theta, path: checkpoint.path)
        if length > architecture.maximumLength {
            configuration = try configuration.withMaximumLength(length, path: checkpoint.path)
        }
        var changed = unchanged
        changed.configuration = configuration
        changed.tensors.removeAll { naming.isDerived($0.key) }
        return try PretrainedModel(changed)
    }

    /// The model with other values of some of its tensors, as a run has kept them.
    func replacing(_ masters: [String: TensorExpression]) -> PretrainedModel {
        var model = self
        for (name, tensor) in masters { model.checkpoint.tensors[name] = tensor }
        return model
    }

    /// What a model of this shape has learnt, in float32 and as the files have it; its weights are read when the values are.
    ///
    /// - Parameters:
    ///   - transformer: the model.
    ///   - earlier: tensors that are frozen in it and were trained before, which are among its weights in float32.
    /// - Returns: the tensors by name.
    /// - Throws: ``UserFacingError`` when a tensor can't lie the other way round.
    func masters<Device: Engine>(
        of transformer: Transformer<Device>, and earlier: Set<String> = []
    ) throws(UserFacingError) -> [String: TensorExpression] {
        var masters: [String: TensorExpression] = [:]
        for parameter in transformer.layout.parameters
        where parameter.isTrained || earlier.contains(parameter.name) {
            guard checkpoint.tensors[parameter.name] != nil else { continue }
            let new = try transformer.engine.tensor(
                parameter.name, shape: parameter.memoryShape, in: transformer.weights(of: parameter).storage)
            masters[parameter.name] = parameter.isTransposed ? try new.transposed() : new
        }
        return masters
    }

    /// The model with what a run has learnt, each tensor in the type that it has, and all else as it is.
    ///
    /// - Parameters:
    ///   - masters: the tensors that the run has trained, in float32.
    ///   - operation: what was done, for the manifest.
    /// - Returns: the model, not written yet; tensors that were never trained are the source's own.
    /// - Throws: ``UserFacingError`` when a type cannot hold weights.
    func learning(
        _ masters: [String: TensorExpression], by operation: Manifest.Operation
    ) throws(UserFacingError) -> Checkpoint {
        var trained: [String: TensorExpression] = [:]
        for (name, tensor) in masters {
            guard let old = checkpoint.tensors[name] else { continue }
            // The manifest says what it began with, and nothing of where the run has kept it.
            let learnt = MemoryTensor(name: name, type: tensor.type, shape: tensor.shape, beginning: old) {
                (bytes, destination) throws(UserFacingError) in
                try tensor.read(bytes, into: &destination)
            }
            trained[name] = try .stored(learnt).cast(to: old.type)
        }
        // A tied head may be stored all the same; it stays what the embedding is.
        let embedding = naming.weightName(of: .embedding)
        if let name = tiedHead, let head = checkpoint.tensors[name], let table = trained[embedding] {
            trained[name] = try table.cast(to: head.type)
        }
        var result = unchanged
        for (name, tensor) in trained where result.tensors[name] != nil { result.tensors[name] = tensor }
        result.operations.append(operation)
        return result
    }

    /// The model with the tensors that its files have.
    var unchanged: Checkpoint {
        guard hasHeadAlone else { return checkpoint }
        var result = checkpoint
        result.tensors[naming.weightName(of: .embedding)] = nil
        return result
    }

    private func check() throws(UserFacingError) {
        let path = checkpoint.path
        var known: Set<String> = []
        for parameter in layout.parameters {
            known.insert(parameter.name)
            guard let tensor = checkpoint.tensors[parameter.name] else {
                throw .missingTensor(path: path, tensor: parameter.name, shape: parameter.shape)
            }
            guard tensor.shape == parameter.shape else {
                throw .shapeMismatch(
                    path: path, tensor: parameter.name, found: tensor.shape, expected: parameter.shape)
            }
            guard tensor.type.isFloatingPoint else {
                throw .notFloatingPoint(path: path, tensor: parameter.name, type: tensor.type.rawValue)
            }
        }
        for (name, tensor) in checkpoint.tensors where !known.contains(name) {
            let isElsewhere = isPart && !name.hasPrefix(naming.prefix)
            guard isElsewhere || name == tiedHead || naming.isDerived(name) else {
                throw .unexpectedTensor(path: path, tensor: name, shape: tensor.shape)
            }
        }
    }

    /// The head's name where it is the embedding; it may be stored all the same.
    private var tiedHead: String? {
        architecture.head.isTied ? naming.weightName(of: .head) : nil
    }
}

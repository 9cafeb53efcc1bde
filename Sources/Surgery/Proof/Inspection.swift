public import Formats
public import Models
internal import OrderedCollections

/// What a model is, told from its headers and its configuration.
///
/// No tensor is read, but for an output head and an embedding that the configuration says are one: they are compared.
public struct Inspection: Sendable {
    /// The tensors of one type.
    public struct TypeSummary: Sendable, Equatable {
        /// The type.
        public let type: ElementType
        /// How many tensors have it.
        public let tensors: Int
        /// How many numbers these have together.
        public let parameters: Int
        /// How many bytes they take.
        public let bytes: Int
    }

    /// A tensor.
    public struct Tensor: Sendable, Equatable {
        /// Its name.
        public let name: String
        /// The type of its numbers.
        public let type: ElementType
        /// Its dimensions, outermost first.
        public let shape: [Int]
        /// How many bytes it takes.
        public let bytes: Int
        /// The name of the file it lies in.
        public let file: String?
    }

    /// A weights file.
    public struct File: Sendable, Equatable {
        /// Its name.
        public let name: String
        /// Its size in bytes.
        public let bytes: Int
        /// How many tensors lie in it.
        public let tensors: Int
    }

    /// Where it was opened from.
    public let path: String
    /// The `model_type` of the language model; nil when the configuration does not say.
    public let modelType: String?
    /// What people call the family; nil when it is not known by name.
    public let family: String?
    /// The classes that load the model.
    public let architectures: [String]
    /// The layers and what their tensors are called; nil when none are to be seen.
    public let layers: LayerNames.Group?
    /// The tensors by type, the type of the most bytes first.
    public let types: [TypeSummary]
    /// Every tensor, in order.
    public let tensors: [Tensor]
    /// The weights files in their order.
    public let files: [File]
    /// What quantises the model; nil when nothing does.
    public let quantization: Quantization?
    /// The tokenizer's file and what it holds; nil when there is none.
    public let tokenizer: TokenizerSummary?
    /// Whether there is a configuration that could disagree with anything.
    public let hasConfiguration: Bool
    /// What was done to the model by this project, oldest first.
    public let operations: [Manifest.Operation]
    /// How many numbers are copied, duplicated, fresh and so on, as the manifest says; empty without one.
    public let lineage: [Lineage.Kind: Int]
    /// Why a manifest that lies beside the model tells nothing of it; nil when it does, or there is none.
    public let unusableManifest: UserFacingError?
    /// What does not fit together, a sentence each; empty when configuration, tensors and tokenizer agree.
    public let inconsistencies: [String]
    /// What a user should know of parts that can be used all the same, a sentence each.
    public let notes: [String]

    /// How many tensors there are.
    public var tensorCount: Int { tensors.count }
    /// How many numbers they have together.
    public var parameterCount: Int { types.reduce(0) { $0 + $1.parameters } }
    /// How many bytes they take together.
    public var byteCount: Int { types.reduce(0) { $0 + $1.bytes } }

    /// Looks at a model.
    ///
    /// Names and types are those in its files; whether it fits together is told of the model as it was opened.
    ///
    /// - Parameters:
    ///   - checkpoint: the model.
    ///   - problem: what is known already not to fit together.
    public init(of checkpoint: Checkpoint, problem: String? = nil) {
        let stored = (try? checkpoint.stored()) ?? checkpoint
        path = checkpoint.path
        let configuration = stored.configuration
        modelType = configuration?.languageModel["model_type"]?.string ?? configuration?.modelType
        let library = if case .library(let form) = checkpoint.format { " (\(form.library))" } else { "" }
        family = (checkpoint.configuration?.family?.name).map { $0 + library }
        architectures = configuration?.architectures ?? []
        types = Self.types(stored)
        tensors = stored.tensors.map { name, tensor in
            Tensor(
                name: name, type: tensor.type, shape: tensor.shape, bytes: tensor.byteCount,
                file: tensor.file?.name)
        }
        files = Self.files(stored)
        quantization = stored.quantization
        let tokenizer = TokenizerSummary(of: checkpoint) ?? TokenizerSummary(of: stored)
        self.tokenizer = tokenizer
        unusableManifest = checkpoint.unusableManifest
        lineage = checkpoint.manifest?.numbers ?? [:]
        operations = (checkpoint.manifest?.history ?? []) + (checkpoint.manifest?.operations ?? [])
        var inconsistencies = problem.map { [$0] } ?? []
        var layers: LayerNames.Group?
        do {
            layers = try checkpoint.layers()
        } catch {
            if configuration != nil { inconsistencies.append(error.description) }
        }
        self.layers = layers.flatMap { layers in
            layers.names.isFound(in: stored)
                ? layers : LayerNames.groups(in: stored.tensors.keys).first { $0.count == layers.count }
        }
        hasConfiguration = configuration != nil
        // A tensor that can't be read is told of by whoever needs it.
        let head = (try? checkpoint.ownHead()) ?? nil
        notes = head.map { [Checkpoint.note(ofOwnHead: $0, path: checkpoint.path)] } ?? []
        self.inconsistencies =
            inconsistencies + checkpoint.inconsistencies(layers: layers, tokenizer: tokenizer)
            + (tokenizer?.disagreements ?? [])
    }

    private static func types(_ checkpoint: Checkpoint) -> [TypeSummary] {
        Dictionary(grouping: checkpoint.tensors.values, by: \.type)
            .map { type, tensors in
                TypeSummary(
                    type: type, tensors: tensors.count,
                    parameters: tensors.reduce(0) { $0 + $1.elementCount },
                    bytes: tensors.reduce(0) { $0 + $1.byteCount })
            }
            .sorted { ($0.bytes, $1.type.rawValue) > ($1.bytes, $0.type.rawValue) }
    }

    private static func files(_ checkpoint: Checkpoint) -> [File] {
        var tensors: [String: Int] = [:]
        for tensor in checkpoint.tensors.values {
            if let file = tensor.file { tensors[file.path, default: 0] += 1 }
        }
        return checkpoint.sources.map {
            File(name: $0.name, bytes: $0.size, tensors: tensors[$0.path] ?? 0)
        }
    }
}

extension LayerNames {
    /// Whether a model's tensors are called so.
    fileprivate func isFound(in checkpoint: Checkpoint) -> Bool {
        checkpoint.tensors.keys.contains { parse($0) != nil }
    }
}

extension TensorExpression {
    /// The file in which the tensor lies; nil when it is made of something else.
    public var file: InputFile? {
        guard case .leaf(let storage) = node else { return nil }
        return storage.origin?.file
    }
}

/// A model's tokenizer.json, or without one the file that has the most tokens.
public struct TokenizerSummary: Sendable, Equatable {
    /// The name of the file.
    public let file: String
    /// One more than the largest id; nil when the file can't be used.
    public let size: Int?
    /// How many rows the model must have for it; nil when the file can't be used.
    public let neededRows: Int?
    /// Why the file can't be used.
    public let problem: String?
    /// What files of the tokenizer say of ids that does not hold, a sentence each.
    public let disagreements: [String]

    init?(of checkpoint: Checkpoint) {
        guard checkpoint.auxiliaryFiles.contains(where: { $0.name == "tokenizer.json" }) else {
            let files = TokenizerFiles(of: checkpoint.auxiliaryFiles, path: checkpoint.path)
            guard let (count, name) = (try? files.countWithoutMain()) ?? nil else { return nil }
            (file, size, neededRows, disagreements) = (name, count, nil, [])
            problem =
                "there is no tokenizer.json; AutoTokenizer.from_pretrained makes one and save_pretrained writes it"
            return
        }
        file = "tokenizer.json"
        do {
            let files = try checkpoint.tokenizerFiles()
            let loaded = try files.loaded()
            let needed = try files.neededRows(loaded.tokenizer)
            (size, neededRows, disagreements) = (loaded.tokenizer.largestID + 1, needed, loaded.disagreements)
            problem = nil
        } catch {
            (size, neededRows, disagreements) = (nil, nil, [])
            problem = "\(error)"
        }
    }
}

extension Manifest {
    /// How many numbers of all tensors are of each kind.
    fileprivate var numbers: [Lineage.Kind: Int] {
        var numbers: [Lineage.Kind: Int] = [:]
        for (name, lineage) in lineage {
            guard let tensor = provenance[name] else { continue }
            let width = tensor.elementCount / max(tensor.shape.first ?? 1, 1)
            for run in lineage.runs { numbers[run.kind, default: 0] += run.rows.count * width }
        }
        return numbers
    }
}

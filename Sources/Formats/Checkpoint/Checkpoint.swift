public import OrderedCollections

/// A model as a value: its tensors, not read yet, its configuration, and the files that belong to it.
///
/// Opening one reads headers only; an operation on it is a function that returns another, and
/// ``CheckpointWriter`` makes files of it.
public struct Checkpoint: Sendable {
    /// The folder or file it was opened from; error messages name it.
    public var path: String
    /// The tensors by name, in the order in which they are written.
    public var tensors: OrderedDictionary<String, TensorExpression>
    /// What config.json says; nil when there was none, as beside a bare file.
    public var configuration: Configuration?
    /// The other files that belong to the model and come along.
    public var auxiliaryFiles: [AuxiliaryFile]
    /// The free text of the weights files, as `format` = `pt`.
    public var metadata: [String: String]
    /// How it was made, when it was made by this project.
    public var manifest: Manifest?
    /// Why the manifest in the folder can't be used and is left out; nil when it can, or there is none.
    ///
    /// What needs a manifest throws it.
    public var unusableManifest: UserFacingError?
    /// The weights files it was opened from.
    public var sources: [InputFile]
    /// What else is read to make it, as it is named: models, texts, lists.
    ///
    /// A result replaces none of it.
    public var otherSources: [String] = []
    /// What lies in its folder; nil for a model that comes from none.
    var opened: OpenedFiles?
    /// The format that its files have, and that the writer gives it.
    public var format: CheckpointFormat
    /// What was done to it since it was opened; the manifest of the result lists it.
    public var operations: [Manifest.Operation]
    /// What lies in the folder and does not come along, and why.
    public var skippedFiles: [SkippedFile]

    /// A model that comes from no folder.
    public init(
        path: String = "", tensors: OrderedDictionary<String, TensorExpression>,
        configuration: Configuration? = nil, auxiliaryFiles: [AuxiliaryFile] = [],
        metadata: [String: String] = ["format": "pt"]
    ) {
        self.path = path
        self.tensors = tensors
        self.configuration = configuration
        self.auxiliaryFiles = auxiliaryFiles
        self.metadata = metadata
        manifest = nil
        unusableManifest = nil
        sources = []
        format = .safetensors
        operations = []
        skippedFiles = []
    }

    /// The names of the tensors, in order.
    public var names: [String] { Array(tensors.keys) }

    /// A tensor by its name; setting adds it at the end or changes it in its place, nil removes it.
    public subscript(name: String) -> TensorExpression? {
        get { tensors[name] }
        set { tensors[name] = newValue }
    }

    /// How many numbers all tensors have together.
    public var parameterCount: Int { tensors.values.reduce(0) { $0 + $1.elementCount } }

    /// How many bytes all tensors take together.
    public var byteCount: Int { tensors.values.reduce(0) { $0 + $1.byteCount } }
}

/// A file beside the weights that belongs to the model: tokenizer, chat template, licence.
public struct AuxiliaryFile: Sendable {
    /// What is in it.
    public enum Content: Sendable {
        /// What a file holds, copied as it is.
        case file(InputFile)
        /// These bytes.
        case bytes([UInt8])
    }

    /// Its name inside the model's folder; a slash leads into a folder of it.
    public let name: String
    /// What is in it.
    public var content: Content

    /// A file of this name and content.
    public init(name: String, content: Content) {
        self.name = name
        self.content = content
    }

    /// Its size in bytes.
    public var byteCount: Int {
        switch content {
        case .file(let file): file.size
        case .bytes(let bytes): bytes.count
        }
    }

    /// What is in it, read.
    ///
    /// - Throws: ``UserFacingError`` when the file can't be read.
    public func bytes() throws(UserFacingError) -> [UInt8] {
        switch content {
        case .file(let file): try file.bytes()
        case .bytes(let bytes): bytes
        }
    }
}

/// Something in a model's folder that does not come along.
public struct SkippedFile: Sendable, Equatable, CustomStringConvertible {
    /// Its name inside the folder.
    public let name: String
    /// Why, as in "weights in another format".
    public let reason: String

    /// Something of this name, left for this reason.
    public init(name: String, reason: String) {
        self.name = name
        self.reason = reason
    }

    /// The name with the reason in brackets.
    public var description: String { "\(name) (\(reason))" }
}

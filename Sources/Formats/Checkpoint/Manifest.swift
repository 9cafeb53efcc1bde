public import OrderedCollections

/// How a result was made: `surgery.json`.
///
/// For each tensor it says what it was made from and how, so that the result can be proven against its
/// source, compared with it, and undone.
public struct Manifest: Sendable, Equatable {
    /// What the file is called.
    public static let fileName = "surgery.json"
    /// The version of the file's own layout.
    public static let formatVersion = 1

    /// Something that was done to a model.
    public struct Operation: Sendable, Equatable {
        /// The command's name, as in `dus`.
        public let name: String
        /// What it was told, and what follows from it, as where each layer came from.
        public let parameters: JSONObject

        /// An operation of this name and these parameters.
        public init(name: String, parameters: JSONObject) {
            self.name = name
            self.parameters = parameters
        }
    }

    /// A weights file that tensors were taken from.
    public struct Source: Sendable, Equatable {
        /// Where it was, seen from the result's folder.
        public let path: String
        /// Its size.
        public let bytes: Int
        /// SHA-256 of its bytes in hexadecimal; nil when none was made.
        public let sha256: String?

        /// A file at a path seen from the result's folder.
        public init(path: String, bytes: Int, sha256: String? = nil) {
            self.path = path
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    /// Name and version of what wrote the result.
    public var tool: String
    /// What had been done to the source before, oldest first.
    public var history: [Operation]
    /// What was done, in order.
    public var operations: [Operation]
    /// The files that tensors were taken from; recipes name them by their place here.
    public var sources: [Source]
    /// How each tensor was made.
    public var tensors: OrderedDictionary<String, Recipe>

    /// A manifest of these parts.
    public init(
        tool: String, history: [Operation] = [], operations: [Operation], sources: [Source],
        tensors: OrderedDictionary<String, Recipe>
    ) {
        self.tool = tool
        self.history = history
        self.operations = operations
        self.sources = sources
        self.tensors = tensors
    }
}

/// How a tensor was made from tensors of the source.
public indirect enum Recipe: Sendable, Equatable {
    /// The bytes of a tensor: its file's place among the sources, its name, and where in the file it begins.
    case copied(file: Int, tensor: String, offset: Int)
    /// Nothing but zeros.
    case zeroed(ElementType, shape: [Int])
    /// Made by a computation that the recipe can't repeat; what it is called.
    case computed(String, ElementType, shape: [Int])
    /// Others, one below the other.
    case joined([Recipe])
    /// Some rows of another.
    case rows(Range<Int>, of: Recipe)
    /// Another's numbers in this type.
    case cast(ElementType, of: Recipe)
    /// Another with its last two axes exchanged.
    case transposed(of: Recipe)
    /// Another's elements in this shape.
    case reshaped([Int], of: Recipe)
    /// Rows made of another's rows.
    case derived(RowRule, of: Recipe)
}

public import Formats
internal import OrderedCollections

/// What was measured of a model's layers, as a file has it: `trainer analyze` writes it, `surgery prune` reads it.
///
/// Documentation/trainer-analyze.md describes the file. Lists by layer begin with layer 0.
public struct LayerScores: Codable, Sendable, Equatable {
    /// The model that was measured.
    public struct Model: Codable, Sendable, Equatable {
        /// How many layers it has.
        public var layers: Int
        /// What tells it from others: see `Checkpoint.fingerprint()`.
        public var fingerprint: String

        /// A model.
        public init(layers: Int, fingerprint: String) {
            (self.layers, self.fingerprint) = (layers, fingerprint)
        }
    }

    /// The text that it was measured on.
    public struct Text: Codable, Sendable, Equatable {
        /// Documents that were read, the last of each file perhaps not to its end.
        public var documents: Int
        /// Windows that the documents were cut into.
        public var windows: Int
        /// Tokens of the text that were predicted.
        public var tokens: Int
        /// The most tokens of a window.
        public var length: Int

        /// Text that was read.
        public init(documents: Int, windows: Int, tokens: Int, length: Int) {
            (self.documents, self.windows, self.tokens, self.length) = (documents, windows, tokens, length)
        }
    }

    /// Layers left out one after the other, all that remain measured anew after each.
    public struct Removal: Codable, Sendable, Equatable {
        /// What told which layer went: `block-influence` or `loss`.
        public var by: String
        /// The layers in the order in which they went, by their numbers in the whole model.
        public var removed: [Int]
        /// What each scored when it went; nil for what is no number.
        public var scores: [Double?]
        /// The loss without it and all before it.
        public var losses: [Double?]

        /// A removal that has not begun.
        public init(by: String) { (self.by, removed, scores, losses) = (by, [], [], []) }
    }

    /// The model; nil in a file that does not say.
    public var model: Model?
    /// The text; nil in a file that does not say.
    public var text: Text?
    /// The whole model's mean cross entropy of a token of the text, in nats.
    public var loss: Double?
    /// Of each layer: 1 − the mean cosine between what enters it and what leaves it, over all tokens.
    public var blockInfluence: [Double]
    /// Of each number of neighbouring layers, from 1: for each first layer the angle between what enters the first and what
    /// leaves the last, in parts of π; the mean over the last token of each window.
    public var angularDistance: [[Double]]
    /// The same, the mean over all tokens.
    public var meanAngularDistance: [[Double]]?
    /// Of each layer: the loss without it; nil for what is no number.
    public var lossWithout: [Double?]?
    /// Of each layer: the loss where it computes twice in a row.
    public var lossRepeated: [Double?]?
    /// Layers left out one after the other.
    public var iterative: Removal?

    private enum CodingKeys: String, CodingKey {
        case model, text, loss, iterative
        case blockInfluence = "block_influence"
        case angularDistance = "angular_distance"
        case meanAngularDistance = "angular_distance_all_tokens"
        case lossWithout = "loss_without"
        case lossRepeated = "loss_repeated"
    }

    /// Scores without losses.
    public init(blockInfluence: [Double], angularDistance: [[Double]]) {
        (self.blockInfluence, self.angularDistance) = (blockInfluence, angularDistance)
    }

    /// Reads a file of scores of a model with so many layers.
    ///
    /// - Throws: ``UserFacingError`` when it is not one, or of a model with another number of layers.
    public init(path: String, layers: Int) throws(UserFacingError) {
        let json = try JSON.read(path: path)
        do { self = try json.decoded(as: LayerScores.self) } catch {
            throw .noScores(path: path)
        }
        let found = model?.layers ?? blockInfluence.count
        guard found == layers, blockInfluence.count == layers else {
            throw .otherScores(path: path, found: found, layers: layers)
        }
        if let flaw { throw .wrongScores(path: path, flaw) }
    }

    /// What is not as it must be; nil where everything is.
    private var flaw: String? {
        let count = blockInfluence.count
        for (key, list) in [(CodingKeys.lossWithout, lossWithout), (.lossRepeated, lossRepeated)] {
            if let list, list.count != count {
                return
                    "\(key.rawValue) has \(list.count) numbers, one for each of \(count) layers is expected"
            }
        }
        for (key, blocks) in [
            (CodingKeys.angularDistance, angularDistance), (.meanAngularDistance, meanAngularDistance ?? []),
        ] {
            for (index, list) in blocks.enumerated() where list.count != count - index {
                return
                    "\(key.rawValue) has \(list.count) numbers for blocks of \(index + 1), and \(max(0, count - index)) are expected"
            }
        }
        if let iterative {
            let numbers = iterative.removed
            guard numbers.allSatisfy({ $0 >= 0 && $0 < count }), Set(numbers).count == numbers.count else {
                return
                    "iterative removes layers \(numbers.map(String.init).joined(separator: ", ")), expected each of 0 to \(count - 1) once at most"
            }
        }
        return nil
    }
}

extension Checkpoint {
    /// What tells this model from others at the price of little reading: the SHA-256 of each tensor's name, type, shape, and
    /// its first and last 512 bytes, in the order of the names, of the model in Hugging Face's terms.
    ///
    /// Training changes these bytes of every tensor that it trains. A tensor that was changed by hand in its middle alone is
    /// not told from what it was.
    ///
    /// - Throws: ``UserFacingError`` when a tensor cannot be read.
    public func fingerprint() throws(UserFacingError) -> String {
        let size = 512
        var bytes: [UInt8] = []
        for name in tensors.keys.sorted() {
            guard let tensor = tensors[name] else { continue }
            bytes += Array("\(name) \(tensor.type.rawValue) \(tensor.shape)\n".utf8)
            let head = 0..<min(size, tensor.byteCount)
            for part in [head, max(head.upperBound, tensor.byteCount - size)..<tensor.byteCount] {
                var room = [UInt8](repeating: 0, count: part.count)
                var span = room.mutableSpan
                var raw = unsafe span.mutableBytes
                _ = try tensor.read(part, into: &raw)
                bytes += room
            }
        }
        return FileDigest.sha256(bytes)
    }
}

extension UserFacingError {
    fileprivate static func noScores(path: String) -> Self {
        Self(
            .malformed,
            "\(path) holds no scores of layers: block_influence, a number a layer, and angular_distance, a list of them for "
                + "blocks of each length, are expected")
    }

    fileprivate static func otherScores(path: String, found: Int, layers: Int) -> Self {
        Self(.inconsistent, "\(path) has scores of \(found) layers, and the model has \(layers)")
    }

    fileprivate static func wrongScores(path: String, _ flaw: String) -> Self {
        Self(.malformed, "\(path): \(flaw)")
    }
}

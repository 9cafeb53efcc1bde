/// What a module of a decoder-only transformer does.
public enum Module: Hashable, Sendable, CaseIterable {
    /// What tokens become; the same of positions; the norm of their sum.
    case embedding, positions, embeddingNorm
    /// The norm of what enters attention.
    case attentionNorm
    /// Queries, keys and values, apart or in one.
    case query, key, value, queryKeyValue
    /// The norms of queries and of keys.
    case queryNorm, keyNorm
    /// A score of each head that belongs to no token.
    case sinks
    /// What writes attention's result into the residual stream, and the norm of it.
    case attentionOutput, attentionOutputNorm
    /// The norm of what enters the feed-forward part.
    case feedForwardNorm
    /// Gate and what it gates, apart or in one; up is the only one where there is no gate.
    case gate, up, gateUp
    /// What writes the feed-forward result into the residual stream, and the norm of it.
    case down, feedForwardOutputNorm
    /// What chooses experts, and what is added to its scores for the choice alone.
    case router, routerCorrection
    /// The same of each expert, or of all experts in one tensor.
    case expertGate, expertUp, expertGateUp, expertDown
    /// The same of the expert that computes every token, and what weighs it.
    case sharedGate, sharedUp, sharedGateUp, sharedDown, sharedRouter
    /// The norm after the last layer.
    case finalNorm
    /// What makes logits of the last state.
    case head

    /// Whether its result is added to the residual stream; a layer whose writers are zero does nothing.
    public var writesResidual: Bool {
        [.attentionOutput, .down, .expertDown, .sharedDown].contains(self)
    }
}

/// A dimension of a tensor as the configuration gives it.
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
    /// The width of the feed-forward part: `intermediate_size`.
    case feedForward
    /// The width of the feed-forward part: `n_inner`, or four times the model's.
    case fourfold
    /// Gate and up projection in one.
    case gateAndUp
}

/// A module of a family and how its tensors are called and shaped.
public struct TensorRow: Sendable {
    /// What the module does.
    public let module: Module
    /// Its name: in a layer what follows the layer's number; `*` stands for the number of an expert or of a head.
    public let name: String
    /// What follows the name in those of its weights and its bias.
    public let weight: String, bias: String
    /// The dimensions of its weights in the file, outermost first; empty where they are not told.
    public let dimensions: [Dimension]
    /// Whether the last two dimensions of its weights lie in the file the other way round: inputs before outputs.
    public let isTransposed: Bool

    init(
        _ module: Module, _ name: String, _ dimensions: Dimension..., weight: String = ".weight",
        bias: String = ".bias", isTransposed: Bool = false
    ) {
        self.module = module
        self.name = name
        self.weight = weight
        self.bias = bias
        self.dimensions = dimensions
        self.isTransposed = isTransposed
    }

    /// What a module's tensor is.
    public enum Part: Sendable { case weight, bias }

    /// What a tensor of a layer is to this module; nil when it is none of its.
    ///
    /// - Parameter rest: the tensor's name behind the layer's number.
    /// - Returns: the weight or the bias, of any expert or head.
    public func part(named rest: Substring) -> Part? {
        if let place = name.firstIndex(of: "*") {
            guard rest.hasPrefix(name[..<place]) else { return nil }
            let behind = rest.dropFirst(name[..<place].count).drop { $0.isASCII && $0.isNumber }
            let end = name[name.index(after: place)...]
            return behind == end + weight ? .weight : behind == end + bias ? .bias : nil
        }
        return rest == name + weight ? .weight : rest == name + bias ? .bias : nil
    }
}

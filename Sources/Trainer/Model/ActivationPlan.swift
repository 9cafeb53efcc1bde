/// What the forward pass forgets and the backward pass computes again.
public enum Recomputation: String, Codable, Sendable, CaseIterable {
    /// Nothing: fastest, largest.
    case none
    /// The results of norms: next to no time, two values a channel and layer less.
    case norms
    /// Everything but what enters each layer: one more forward pass, the memory of one layer.
    case layer
}

/// Where every intermediate result lies in one block of memory, known before the first step.
///
/// All sizes follow from the shape, so what a run needs can be told before it starts.
public struct ActivationPlan: Sendable, Equatable {
    /// Where one layer's results lie; R rows.
    public struct Layer: Sendable, Equatable {
        /// What enters the layer: (R, C).
        var input: Range<Int>
        /// Its norm: (R, C), and the norm's factors: (R).
        var attentionNorm: Range<Int>, attentionFactor: Range<Int>
        /// Queries, keys and values, turned: (R, width).
        var queryKeyValue: Range<Int>
        /// Attention's result: (R, H · D), and its softmax's denominators: (R, H).
        var attention: Range<Int>, denominator: Range<Int>
        /// The residual stream after attention: (R, C).
        var middle: Range<Int>
        /// Its norm: (R, C), and the norm's factors: (R).
        var feedForwardNorm: Range<Int>, feedForwardFactor: Range<Int>
        /// Gate and up: (R, 2F).
        var gateUp: Range<Int>
    }

    /// Sequences and tokens in each.
    public let batch: Int, time: Int
    /// What the backward pass computes again.
    public let recomputation: Recomputation
    /// The layers' results; layers may share memory.
    let layers: [Layer]
    /// What leaves the last layer: (R, C), its norm: (R, C), and the norm's factors: (R).
    let output: Range<Int>, finalNorm: Range<Int>, finalFactor: Range<Int>
    /// A layer's contribution to the residual stream: (R, C).
    let delta: Range<Int>
    /// The feed-forward layer's hidden values: (R, F).
    let hidden: Range<Int>
    /// The cross entropy of each row: (R).
    let losses: Range<Int>
    /// Logits of ``headRows`` rows: (rows, V).
    let logits: Range<Int>
    /// How many rows the output head works on at once.
    let headRows: Int
    /// Gradients: of the residual stream (R, C), of a norm's result (R, C), of queries, keys and values
    /// (R, width), of attention's result (R, H · D), of the hidden values (R, F).
    let dStream: Range<Int>, dNorm: Range<Int>, dQueryKeyValue: Range<Int>, dAttention: Range<Int>,
        dHidden: Range<Int>
    /// Cosines and sines of the positions: (T, D / 2) each.
    let cosine: Range<Int>, sine: Range<Int>
    /// How many values all of it takes.
    public let count: Int

    /// Logits are kept for as many rows as fit into this many values (64 MiB).
    private static let logitsBudget = 16 << 20

    /// Plans sequences of `time` tokens, `batch` at once.
    ///
    /// `recomputation` is nil when no gradients are wanted; then no layer's results are kept.
    public init(
        _ configuration: TransformerConfiguration, batch: Int, time: Int, recomputation: Recomputation?
    ) {
        self.batch = batch
        self.time = time
        self.recomputation = recomputation ?? .layer
        let rows = batch * time
        let width = configuration.hiddenSize
        var memory = Memory()
        let trains = recomputation != nil
        let shared = recomputation == nil || recomputation == .layer
        let sharedNorms =
            recomputation == .norms ? (memory.take(rows * width), memory.take(rows * width)) : nil
        var layers: [Layer] = []
        for _ in 0..<configuration.layers {
            if shared, let first = layers.first {
                var layer = first
                if trains { layer.input = memory.take(rows * width) }
                layers.append(layer)
                continue
            }
            layers.append(Layer(configuration, rows: rows, norms: sharedNorms, &memory))
        }
        self.layers = layers
        // Without gradients a layer's input may be overwritten by its output.
        output = trains ? memory.take(rows * width) : layers.first?.input ?? memory.take(rows * width)
        finalNorm = memory.take(rows * width)
        finalFactor = memory.take(rows)
        delta = memory.take(rows * width)
        hidden = memory.take(rows * configuration.intermediateSize)
        losses = memory.take(rows)
        headRows = max(1, min(rows, Self.logitsBudget / configuration.vocabularySize))
        logits = memory.take(headRows * configuration.vocabularySize)
        dStream = memory.take(trains ? rows * width : 0)
        dNorm = memory.take(trains ? rows * width : 0)
        dQueryKeyValue = memory.take(trains ? rows * configuration.queryKeyValueWidth : 0)
        dAttention = memory.take(trains ? rows * configuration.heads * configuration.headSize : 0)
        dHidden = memory.take(trains ? rows * configuration.intermediateSize : 0)
        cosine = memory.take(time * configuration.headSize / 2)
        sine = memory.take(time * configuration.headSize / 2)
        count = memory.count
    }

    /// Batch × time.
    public var rows: Int { batch * time }
}

extension ActivationPlan.Layer {
    fileprivate init(
        _ configuration: TransformerConfiguration, rows: Int, norms: (Range<Int>, Range<Int>)?,
        _ memory: inout Memory
    ) {
        let width = rows * configuration.hiddenSize
        input = memory.take(width)
        attentionNorm = norms?.0 ?? memory.take(width)
        attentionFactor = memory.take(rows)
        queryKeyValue = memory.take(rows * configuration.queryKeyValueWidth)
        attention = memory.take(rows * configuration.heads * configuration.headSize)
        denominator = memory.take(rows * configuration.heads)
        middle = memory.take(width)
        feedForwardNorm = norms?.1 ?? memory.take(width)
        feedForwardFactor = memory.take(rows)
        gateUp = memory.take(rows * 2 * configuration.intermediateSize)
    }
}

/// Hands out ranges one after the other, each from a cache line's start.
private struct Memory {
    private(set) var count = 0

    mutating func take(_ size: Int) -> Range<Int> {
        let start = count
        count += (size + 15) / 16 * 16
        return start..<start + size
    }
}

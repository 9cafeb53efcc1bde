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

    /// What training asks of the memory.
    public struct Training: Sendable {
        /// Where the gradients lie among themselves, and what is trained.
        public var layout: ParameterLayout
        /// What the backward pass computes again.
        public var recomputation: Recomputation
        /// Whether gradients outlive a batch, because a step is taken in parts.
        public var accumulates: Bool

        /// Training of what `layout` trains.
        public init(_ layout: ParameterLayout, recomputation: Recomputation, accumulates: Bool = false) {
            self.layout = layout
            self.recomputation = recomputation
            self.accumulates = accumulates
        }
    }

    /// Sequences and tokens in each.
    public let batch: Int, time: Int
    /// What the backward pass computes again.
    public let recomputation: Recomputation
    /// The layers' results; layers may share memory.
    let layers: [Layer]
    /// Where the gradients begin; they may lie over the results of the layers.
    let firstGradient: Int
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
    /// Without `training` no layer's results are kept. With it, the results of the layers come first, and the
    /// gradients lie over them as far as they can: when the backward pass writes a layer's gradients, it needs no
    /// results of the layers above it any more.
    public init(
        _ configuration: TransformerConfiguration, batch: Int, time: Int, training: Training? = nil
    ) {
        self.batch = batch
        self.time = time
        recomputation = training?.recomputation ?? .layer
        let rows = batch * time
        let width = configuration.hiddenSize
        let lowest = training?.layout.lowestTrainedLayer ?? configuration.layers
        var memory = Memory()
        let kept = KeptLayers(configuration, rows: rows, lowest: lowest, recomputation, &memory)
        layers = kept.layers
        if let training {
            firstGradient =
                training.accumulates
                ? memory.count
                : zip(training.layout.layers, kept.ends).reduce(0) { max($0, $1.1 - $1.0.firstGradient) }
            memory.reach(firstGradient + training.layout.gradientWords)
        } else {
            firstGradient = 0
        }
        // Without gradients a layer's input may be overwritten by its output.
        let keepsOutput = lowest < configuration.layers || configuration.layers == 0
        output = keepsOutput ? memory.take(rows * width) : layers[0].input
        finalNorm = memory.take(rows * width)
        finalFactor = memory.take(rows)
        delta = memory.take(rows * width)
        hidden = memory.take(rows * configuration.intermediateSize)
        losses = memory.take(rows)
        headRows = max(1, min(rows, Self.logitsBudget / configuration.vocabularySize))
        logits = memory.take(headRows * configuration.vocabularySize)
        let differentiated = lowest < configuration.layers ? rows : 0
        dStream = memory.take(training == nil ? 0 : rows * width)
        dNorm = memory.take(training == nil ? 0 : rows * width)
        dQueryKeyValue = memory.take(differentiated * configuration.queryKeyValueWidth)
        dAttention = memory.take(differentiated * configuration.heads * configuration.headSize)
        dHidden = memory.take(differentiated * configuration.intermediateSize)
        cosine = memory.take(time * configuration.headSize / 2)
        sine = memory.take(time * configuration.headSize / 2)
        count = memory.count
    }

    /// Batch × time.
    public var rows: Int { batch * time }
}

/// The layers' results, at the beginning of the memory.
private struct KeptLayers {
    private(set) var layers: [ActivationPlan.Layer] = []
    /// Where what each layer keeps for the backward pass ends; nothing shared lies behind the first of them.
    private(set) var ends: [Int] = []

    /// Layers below `lowest` keep nothing: they share the memory of one.
    init(
        _ configuration: TransformerConfiguration, rows: Int, lowest: Int, _ recomputation: Recomputation,
        _ memory: inout Memory
    ) {
        let width = rows * configuration.hiddenSize
        let norms = recomputation == .norms ? (memory.take(width), memory.take(width)) : nil
        let keepsAll = recomputation != .layer && lowest < configuration.layers
        var shared: ActivationPlan.Layer?
        if !keepsAll, configuration.layers > 0 {
            let input = lowest > 0 ? memory.take(width) : 0..<0
            shared = ActivationPlan.Layer(configuration, rows: rows, input: input, norms: norms, &memory)
        }
        for index in 0..<configuration.layers {
            if index >= lowest {
                let input = memory.take(width)
                if var layer = shared {
                    layer.input = input
                    layers.append(layer)
                } else {
                    layers.append(
                        ActivationPlan.Layer(
                            configuration, rows: rows, input: input, norms: norms, &memory))
                }
            }
            ends.append(memory.count)
        }
        // The last layer's memory serves those below the lowest, too: they are done before it is reached.
        if let shared = shared ?? layers.last {
            layers.insert(contentsOf: repeatElement(shared, count: min(lowest, configuration.layers)), at: 0)
        }
    }
}

extension ActivationPlan.Layer {
    fileprivate init(
        _ configuration: TransformerConfiguration, rows: Int, input: Range<Int>,
        norms: (Range<Int>, Range<Int>)?, _ memory: inout Memory
    ) {
        let width = rows * configuration.hiddenSize
        self.input = input
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

    /// Goes on behind `end`, if it lies further.
    mutating func reach(_ end: Int) { count = max(count, (end + 15) / 16 * 16) }
}

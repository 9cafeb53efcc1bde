public import Models

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
/// The blocks say what they keep; all sizes follow from the architecture, so what a run needs can be told before it
/// starts.
public struct ActivationPlan: Sendable, Equatable {
    /// What training asks of the memory.
    public struct Training: Sendable {
        /// What the backward pass computes again.
        public var recomputation: Recomputation
        /// Whether gradients outlive a batch, because a step is taken in parts.
        public var accumulates: Bool
        /// Whether some layers add only a share of what they compute.
        public var fades: Bool

        /// Training of what a layout trains.
        public init(recomputation: Recomputation, accumulates: Bool = false, fades: Bool = false) {
            self.recomputation = recomputation
            self.accumulates = accumulates
            self.fades = fades
        }
    }

    /// Memory that no block keeps from one part of a pass to another; R rows, S slots of experts.
    struct Scratch: Sendable, Equatable {
        /// A part's contribution to the residual stream: (R, C), and the stream between the parts of a parallel layer.
        var delta: Range<Int>, middle: Range<Int>
        /// The feed-forward part's hidden values: (R, F), or (S, F) of all experts.
        var hidden: Range<Int>
        /// What enters and what leaves the experts: (S, C), and what leaves the shared one: (R, C).
        var expertInput: Range<Int>, expertOutput: Range<Int>, sharedOutput: Range<Int>
        /// Gradients: of the residual stream, of what enters a part, of what leaves it: (R, C) each.
        var dStream: Range<Int>, dNorm: Range<Int>, dBranch: Range<Int>
        /// Gradients: of queries, keys and values (R, W), of attention's result (R, H · D), of the hidden values, of
        /// the experts' weights (S) or of the shared one's gate (R).
        var dQueryKeyValue: Range<Int>, dAttention: Range<Int>, dHidden: Range<Int>, dRouting: Range<Int>
    }

    /// A table of angles: cosines and sines of the positions, (T, N / 2) each.
    struct Angles: Sendable, Equatable {
        var rotary: RotaryEmbedding
        var cosine: Range<Int>, sine: Range<Int>
    }

    /// Sequences and tokens in each.
    public let batch: Int, sequenceLength: Int
    /// What the backward pass computes again.
    public let recomputation: Recomputation
    /// What the embedding and the layers keep; layers may share memory.
    let embedding: EmbeddingBlock.Activations
    let layers: [LayerBlock.Activations]
    /// Where the gradients begin; they may lie over the results of the layers.
    let firstGradient: Int
    /// What leaves the last layer: (R, C), and its norm.
    let output: Range<Int>, finalNorm: NormBlock.Activations
    /// The cross entropy of each row: (R).
    let losses: Range<Int>
    /// Logits of ``headRows`` rows: (rows, V).
    let logits: Range<Int>
    /// How many rows the output head works on at once.
    let headRows: Int
    let scratch: Scratch
    /// One table for each rotary embedding, and for each bias of positions: (H, T).
    let angles: [Angles]
    let positionBiases: [PositionBias: Range<Int>]
    /// Whole numbers, (R) each: tokens, what should follow them, and for each window the first position that is seen.
    let tokens: Range<Int>, targets: Range<Int>
    let starts: [Int?: Range<Int>]
    /// How often each expert was chosen and the sum of its scores: (2, E), and what balances them: (E).
    let load: Range<Int>, balance: Range<Int>
    /// How many words all of it takes.
    public let count: Int

    /// Logits are kept for as many rows as fit into this many values (64 MiB).
    private static let logitsBudget = 16 << 20

    /// Plans sequences of `sequenceLength` tokens, `batch` at once.
    ///
    /// Without `training` no layer's results are kept. With it, the results of the layers come first, and the
    /// gradients lie over them as far as they can: when the backward pass writes a layer's gradients, it needs no
    /// results of the layers above it any more.
    public init(
        _ architecture: Architecture, layout: ParameterLayout, batch: Int, sequenceLength: Int,
        training: Training? = nil
    ) {
        self.batch = batch
        self.sequenceLength = sequenceLength
        recomputation = training?.recomputation ?? .layer
        let rows = batch * sequenceLength
        let width = architecture.hiddenSize
        let lowest = training == nil ? layout.layers.count : layout.lowestTrainedLayer
        var memory = MemoryPlanner()
        embedding = layout.embedding.plan(rows: rows, &memory)
        let kept = KeptLayers(
            layout.layers, rows: rows, width: width, lowest: lowest, recomputation, &memory)
        layers = kept.layers
        if let training {
            firstGradient =
                training.accumulates
                ? memory.count
                : zip(layout.layers, kept.ends).reduce(0) { max($0, $1.1 - $1.0.firstGradient) }
            memory.reach(firstGradient + layout.gradientWords)
        } else {
            firstGradient = 0
        }
        // Without gradients a layer's input may be overwritten by its output.
        let keepsOutput = lowest < layout.layers.count || layout.layers.isEmpty
        output = keepsOutput ? memory.take(rows * width) : layers[0].input
        finalNorm = layout.finalNorm.plan(rows: rows, &memory)
        let needs = ScratchNeeds(
            layout.layers, rows: rows, width: width, fades: training?.fades ?? false)
        let delta = memory.take(rows * width)
        let hidden = memory.take(needs.hidden)
        losses = memory.take(rows)
        headRows = max(1, min(rows, Self.logitsBudget / architecture.vocabularySize))
        logits = memory.take(headRows * architecture.vocabularySize)
        let differentiated = lowest < layout.layers.count ? 1 : 0
        let stream = training == nil ? 0 : rows * width
        scratch = Scratch(
            delta: delta, middle: memory.take(needs.middle), hidden: hidden,
            expertInput: memory.take(needs.slots), expertOutput: memory.take(needs.slots),
            sharedOutput: memory.take(needs.shared), dStream: memory.take(stream),
            dNorm: memory.take(stream), dBranch: memory.take(differentiated * needs.branch),
            dQueryKeyValue: memory.take(differentiated * needs.queryKeyValue),
            dAttention: memory.take(differentiated * needs.attention),
            dHidden: memory.take(differentiated * needs.hidden),
            dRouting: memory.take(differentiated * needs.routing))
        angles = Self.distinct(architecture.layers.compactMap(\.attention.rotary)).map { rotary in
            let size = sequenceLength * rotary.size / 2
            return Angles(rotary: rotary, cosine: memory.take(size), sine: memory.take(size))
        }
        positionBiases = Dictionary(
            uniqueKeysWithValues: Self.distinct(architecture.layers.compactMap(\.attention.positionBias)).map
            {
                ($0, memory.take($0.slopes.count * sequenceLength))
            })
        tokens = memory.take(rows)
        targets = memory.take(rows)
        starts = Dictionary(
            uniqueKeysWithValues: Self.distinct(architecture.layers.map(\.attention.window)).map {
                ($0, memory.take(rows))
            })
        load = memory.take(2 * needs.experts)
        balance = memory.take(needs.experts)
        count = memory.count
    }

    private static func distinct<Value: Equatable>(_ values: [Value]) -> [Value] {
        values.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// Batch × sequence length.
    public var rows: Int { batch * sequenceLength }

    /// The table of a rotary embedding.
    func angles(_ rotary: RotaryEmbedding) -> Angles? { angles.first { $0.rotary == rotary } }

    /// The table of what positions add to the scores; nil where they add nothing.
    func bias(_ bias: PositionBias?) -> Range<Int>? { bias.flatMap { positionBiases[$0] } }

    /// Where it stands which position each token sees first, by how many tokens it sees at most.
    func starts(_ window: Int?) -> Range<Int> { starts[window] ?? 0..<0 }
}

/// The layers' results, at the beginning of the memory.
private struct KeptLayers {
    private(set) var layers: [LayerBlock.Activations] = []
    /// Where what each layer keeps for the backward pass ends; nothing shared lies behind the first of them.
    private(set) var ends: [Int] = []

    /// Layers below `lowest` keep nothing: they share the memory of one.
    init(
        _ blocks: [LayerBlock], rows: Int, width: Int, lowest: Int, _ recomputation: Recomputation,
        _ memory: inout MemoryPlanner
    ) {
        let width = rows * width
        let norms = recomputation == .norms ? (memory.take(width), memory.take(width)) : nil
        let keepsAll = recomputation != .layer && lowest < blocks.count
        var shared: [LayerBlock.Activations]?
        if !keepsAll, !blocks.isEmpty {
            let input = lowest > 0 ? memory.take(width) : 0..<0
            shared = Self.overlaid(blocks, rows: rows, input: input, norms: norms, at: memory, &memory)
        }
        var last = memory
        for (index, block) in blocks.enumerated() {
            if index >= lowest {
                let input = memory.take(width)
                if var layer = shared?[index] {
                    layer.input = input
                    layers.append(layer)
                } else {
                    last = memory
                    layers.append(block.plan(rows: rows, input: input, norms: norms, &memory))
                }
            }
            ends.append(memory.count)
        }
        // The last layer's memory serves those below the lowest, too: they are done before it is reached.
        let below = blocks.prefix(lowest)
        guard !below.isEmpty else { return }
        let own =
            shared.map { Array($0.prefix(lowest)) }
            ?? Self.overlaid(
                Array(below), rows: rows, input: layers.last?.input ?? 0..<0, norms: norms, at: last, &memory)
        layers.insert(contentsOf: own, at: 0)
    }

    /// Layers that lie over each other from `start` on.
    private static func overlaid(
        _ blocks: [LayerBlock], rows: Int, input: Range<Int>, norms: (Range<Int>, Range<Int>)?,
        at start: MemoryPlanner, _ memory: inout MemoryPlanner
    ) -> [LayerBlock.Activations] {
        blocks.map { block in
            var own = start
            let layer = block.plan(rows: rows, input: input, norms: norms, &own)
            memory.reach(own.count)
            return layer
        }
    }
}

/// How much scratch memory the largest of the layers needs, in values.
private struct ScratchNeeds {
    var middle = 0, hidden = 0, slots = 0, shared = 0, branch = 0, queryKeyValue = 0, attention = 0
    var routing = 0
    /// E of the layers that have experts.
    var experts = 0

    init(_ layers: [LayerBlock], rows: Int, width: Int, fades: Bool) {
        for block in layers {
            let attention = block.layer.attention
            queryKeyValue = max(queryKeyValue, rows * attention.qkvWidth)
            self.attention = max(self.attention, rows * attention.heads * attention.headSize)
            if block.layer.order == .parallel { middle = rows * width }
            if block.needsBranchGradient || fades { branch = rows * width }
            switch block.layer.feedForward {
            case .gated(let mlp): hidden = max(hidden, rows * mlp.size)
            case .plain(let mlp): hidden = max(hidden, rows * mlp.size)
            case .experts(let experts):
                let slots = rows * experts.chosen
                hidden = max(hidden, slots * experts.expert.size, rows * (experts.shared?.size ?? 0))
                self.slots = max(self.slots, slots * width)
                if experts.shared != nil { shared = rows * width }
                routing = max(routing, slots, rows)
                self.experts = max(self.experts, experts.count)
            }
        }
    }
}

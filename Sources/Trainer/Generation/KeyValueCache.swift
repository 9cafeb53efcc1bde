internal import Formats
internal import Models

/// The keys and values of the tokens that were computed, layer by layer, so that each is computed once.
///
/// There is room for B sequences of T tokens; a layer has (2, B, key-value heads, T, D) in float32. Positions of a
/// sequence count from 0. A sliding window sees the last of what is kept.
struct KeyValueCache<Device: Engine> {
    /// B and T.
    let sequences: Int, length: Int
    private let layers: [Tensor<Device.Buffer>]
    /// What positions add to the scores: (H, T).
    private let biases: [PositionBias: Tensor<Device.Buffer>]

    /// Room for `sequences` sequences of `length` tokens.
    init(
        _ layout: ParameterLayout, sequences: Int, length: Int, on engine: Device
    ) throws(UserFacingError) {
        (self.sequences, self.length) = (sequences, length)
        var layers: [Tensor<Device.Buffer>] = []
        var biases: [PositionBias: Tensor<Device.Buffer>] = [:]
        for block in layout.layers {
            let shape = block.attention.shape(batch: sequences, sequenceLength: length)
            layers.append(try Tensor(count: shape.keptCount, precision: .f32, on: engine))
            guard let bias = block.attention.attention.positionBias, biases[bias] == nil else { continue }
            let table = try Tensor(count: bias.slopes.count * length, precision: .f32, on: engine)
            engine.upload(bias.table(length: length), to: table)
            biases[bias] = table
        }
        (self.layers, self.biases) = (layers, biases)
    }

    /// What is kept of a layer.
    func layer(_ index: Int) -> Tensor<Device.Buffer> { layers[index] }

    /// The table of what positions add to the scores; nil where they add nothing.
    func bias(_ bias: PositionBias?) -> Tensor<Device.Buffer>? { bias.flatMap { biases[$0] } }
}

/// Where the rows of one pass lie in a cache.
struct KeptRows<Device: Engine> {
    let cache: KeyValueCache<Device>
    /// The place of each row, sequence · T + position: (R) whole numbers.
    let places: Tensor<Device.Buffer>
    /// Whether rows are a token each of any sequences, and see what is kept; else they are the beginning of one sequence,
    /// and see each other.
    let isStep: Bool

    private func shape(_ block: AttentionBlock) -> AttentionShape {
        block.shape(batch: cache.sequences, sequenceLength: cache.length)
    }

    /// Keeps keys and values of qkv(R, W).
    func keep(_ qkv: Range<Int>, of block: AttentionBlock, _ pass: Pass<Device>) {
        pass.engine.keepKeysAndValues(
            cache.layer(block.layer), qkv: pass.values(qkv), places: places, shape: shape(block))
    }

    /// out(R, H · D): attention of the queries in qkv(R, W).
    func attend(_ out: Range<Int>, _ qkv: Range<Int>, _ block: AttentionBlock, _ pass: Pass<Device>) {
        pass.engine.attentionOverKept(
            pass.values(out), qkv: pass.values(qkv), kept: cache.layer(block.layer), places: places,
            first: pass.integers(pass.plan.starts(block.attention.window)),
            bias: cache.bias(block.attention.positionBias), sinks: block.sinks.map { pass.weights($0) },
            shape: shape(block))
    }
}

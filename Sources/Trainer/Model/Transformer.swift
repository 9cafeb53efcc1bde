/// A decoder-only transformer on an engine: its weights, and memory for one batch.
///
/// The forward pass is in `Transformer+Forward.swift`, the backward pass in `Transformer+Backward.swift`, side
/// by side step for step.
public final class Transformer<Device: Engine> {
    /// What computes.
    public let engine: Device
    /// The shape of the model.
    public let configuration: TransformerConfiguration
    /// Where each parameter lies in ``weights`` and ``gradients``.
    public let layout: ParameterLayout
    /// The trained parameters, in float32.
    public let weights: Device.Buffer
    /// The frozen parameters, as they are kept.
    public let frozen: Device.Buffer
    /// How ``memory`` is used.
    let plan: ActivationPlan
    private let memory: Device.Buffer

    /// A model whose weights are all zero.
    ///
    /// Memory for the batches of `plan` is taken here.
    public init(
        _ configuration: TransformerConfiguration, layout: ParameterLayout, plan: ActivationPlan,
        on engine: Device
    ) throws(EngineError) {
        self.engine = engine
        self.configuration = configuration
        self.layout = layout
        self.plan = plan
        weights = try engine.makeBuffer(count: layout.trainedCount)
        frozen = try engine.makeBuffer(count: layout.frozenWords)
        memory = try engine.makeBuffer(count: plan.count)
        let angles = configuration.rotary.table(length: plan.time, headSize: configuration.headSize)
        engine.upload(angles.cosine.span, to: memory[plan.cosine])
        engine.upload(angles.sine.span, to: memory[plan.sine])
        try engine.prepare(attention: attentionShape, rows: streamShape)
    }

    /// The values of an operand.
    func weights(of block: ParameterBlock) -> Stored<Device.Buffer> {
        Stored(block.weights, in: block.isTrained ? weights : frozen)
    }

    /// The values of an operand that is kept in float32: a norm's scale, a bias.
    func vector(of block: ParameterBlock) -> Device.Buffer { weights(of: block).words }

    /// The values of a tensor.
    func weights(of parameter: Parameter) -> Stored<Device.Buffer> {
        Stored(parameter.weights, in: parameter.isTrained ? weights : frozen)
    }

    /// The gradients at `place`, as the last backward pass left them; valid until the next batch.
    func gradients(at place: Place) -> Stored<Device.Buffer> {
        Stored(place, in: memory[plan.firstGradient..<plan.firstGradient + layout.gradientWords])
    }

    /// A part of the planned memory.
    func values(_ range: Range<Int>) -> Device.Buffer { memory[range] }

    /// The weights of a linear layer, its bias and its shape.
    func linear(
        _ linear: TransformerConfiguration.LinearLayer, of layer: Int
    ) -> (weight: ParameterBlock, bias: ParameterBlock?, shape: LinearShape) {
        let place = layout.layers[layer]
        let size = configuration.size(of: linear)
        return (
            place.weights[linear] ?? ParameterBlock(), place.biases[linear],
            LinearShape(rows: plan.rows, inputs: size.inputs, outputs: size.outputs)
        )
    }

    /// The shape of attention.
    var attentionShape: AttentionShape {
        AttentionShape(
            batch: plan.batch, time: plan.time, heads: configuration.heads,
            keyValueHeads: configuration.keyValueHeads, headSize: configuration.headSize)
    }

    /// R rows of the residual stream.
    var streamShape: RowShape { RowShape(rows: plan.rows, columns: configuration.hiddenSize) }

    /// A batch's numbers on the device; what each token sees is narrowed to the model's window.
    func indices(of batch: TokenBatch) -> BatchIndices<Device> {
        precondition(batch.batch == plan.batch && batch.time == plan.time, "the batch is not as planned")
        var first = batch.first
        if let window = configuration.window {
            for row in first.indices {
                first[row] = max(first[row], Int32(row % plan.time - window + 1))
            }
        }
        return BatchIndices(
            tokens: engine.makeIndices(batch.tokens), targets: engine.makeIndices(batch.targets),
            first: engine.makeIndices(first))
    }
}

/// A batch on a device.
struct BatchIndices<Device: Engine> {
    /// The tokens, what should follow them, and the first position that each sees: (R) each.
    let tokens: Device.Indices, targets: Device.Indices, first: Device.Indices
}

extension Transformer {
    /// The sum of the batch's cross entropies; their gradients, times `scale`, are at ``gradients(at:)`` then.
    ///
    /// `scale` is 1 / the number of targets of the whole step, so that a step may be taken in parts; with
    /// `accumulate` the gradients are added to what is there, for which the plan must have been made.
    public func lossAndGradients(_ batch: TokenBatch, scale: Float, accumulate: Bool) -> Double {
        let indices = indices(of: batch)
        forward(indices)
        let backward = Backward(model: self, batch: indices, accumulate: accumulate)
        backward.head(scale: scale)
        for layer in (layout.lowestTrainedLayer..<configuration.layers).reversed() { backward.layer(layer) }
        backward.embedding()
        return sumOfLosses()
    }
}

/// The backward pass of one batch, down to the lowest layer that is trained.
///
/// `dStream` holds the gradient of the residual stream all along.
private struct Backward<Device: Engine> {
    let model: Transformer<Device>
    let batch: BatchIndices<Device>
    let accumulate: Bool

    private var engine: Device { model.engine }
    private var plan: ActivationPlan { model.plan }
    private var layout: ParameterLayout { model.layout }
    private var dStream: Device.Buffer { model.values(plan.dStream) }
    private var dNorm: Device.Buffer { model.values(plan.dNorm) }

    /// Logits, losses and their gradient, some rows at a time; then through the last norm.
    func head(scale: Float) {
        let head = layout.head
        let width = model.configuration.hiddenSize
        let goesOn = layout.finalNorm.isTrained || layout.lowestTrainedLayer < model.configuration.layers
        model.forEachHeadBlock { rows, shape in
            let logits = model.logits(rows, shape)
            engine.crossEntropy(
                losses: model.values(plan.losses)[rows], logits: logits,
                targets: engine.slice(batch.targets, rows),
                shape: RowShape(rows: rows.count, columns: shape.outputs), gradientScale: scale)
            if goesOn {
                engine.linearBackward(
                    dx: dNorm[rows.lowerBound * width..<rows.upperBound * width], dy: logits,
                    weight: model.weights(of: head), shape: shape)
            }
            engine.linearBackward(
                dWeight: gradients(of: head), dBias: nil, dy: logits, x: model.normedRows(rows), shape: shape,
                accumulate: accumulate || rows.lowerBound > 0)
        }
        guard goesOn else { return }
        normalize(x: plan.output, factor: plan.finalFactor, weight: layout.finalNorm, addToStream: false)
    }

    /// From the gradient of what leaves a layer to that of what enters it.
    func layer(_ index: Int) {
        let place = plan.layers[index]
        let norms = layout.layers[index]
        if plan.recomputation == .layer {
            model.attend(layer: index, batch, addsLayerBefore: false)
            model.feedForward(layer: index)
        }
        feedForward(index)
        normalize(
            x: place.middle, factor: place.feedForwardFactor, weight: norms.feedForwardNorm, addToStream: true
        )
        attention(index)
        normalize(
            x: place.input, factor: place.attentionFactor, weight: norms.attentionNorm, addToStream: true)
    }

    /// dNorm = the gradient of norm(middle).
    private func feedForward(_ index: Int) {
        let place = plan.layers[index]
        let hidden = model.values(plan.hidden)
        let dHidden = model.values(plan.dHidden)
        let gateUp = model.values(place.gateUp)
        input(.down, index, dx: dHidden, dy: dStream)
        engine.gatedUnitBackward(
            y: hidden, gateUp: gateUp, dy: dHidden, gate: model.configuration.gate, shape: model.hiddenShape)
        weights(.down, index, dy: dStream, x: hidden)
        input(.gateUp, index, dx: dNorm, dy: gateUp)
        weights(
            .gateUp, index, dy: gateUp,
            x: normed(
                place.feedForwardNorm, x: place.middle, factor: place.feedForwardFactor,
                weight: layout.layers[index].feedForwardNorm))
    }

    /// dNorm = the gradient of norm(input).
    private func attention(_ index: Int) {
        let place = plan.layers[index]
        let dQueryKeyValue = model.values(plan.dQueryKeyValue)
        let dAttention = model.values(plan.dAttention)
        let out = model.values(place.attention)
        input(.attentionOutput, index, dx: dAttention, dy: dStream)
        weights(.attentionOutput, index, dy: dStream, x: out)
        engine.attentionBackward(
            dqkv: dQueryKeyValue, dOut: dAttention, qkv: model.values(place.queryKeyValue), out: out,
            lse: model.values(place.denominator), first: batch.first, shape: model.attentionShape)
        engine.rotate(
            dQueryKeyValue, cosine: model.values(plan.cosine), sine: model.values(plan.sine),
            shape: model.attentionShape, back: true)
        input(.queryKeyValue, index, dx: dNorm, dy: dQueryKeyValue)
        weights(
            .queryKeyValue, index, dy: dQueryKeyValue,
            x: normed(
                place.attentionNorm, x: place.input, factor: place.attentionFactor,
                weight: layout.layers[index].attentionNorm))
    }

    /// The rows of the embedding that the tokens chose.
    func embedding() {
        guard let table = layout.embedding.gradient else { return }
        // A tied head has written its gradient to the same rows already.
        engine.embedBackward(
            dTable: model.gradients(at: table).words, dOut: dStream, tokens: batch.tokens,
            shape: model.streamShape, accumulate: accumulate || model.configuration.tiedHead)
    }

    /// The gradient of a linear layer's input.
    private func input(
        _ linear: TransformerConfiguration.LinearLayer, _ layer: Int, dx: Device.Buffer, dy: Device.Buffer
    ) {
        let place = model.linear(linear, of: layer)
        engine.linearBackward(dx: dx, dy: dy, weight: model.weights(of: place.weight), shape: place.shape)
    }

    /// The gradients of a linear layer's weights and bias, those of them that are trained.
    private func weights(
        _ linear: TransformerConfiguration.LinearLayer, _ layer: Int, dy: Device.Buffer,
        x: @autoclosure () -> Device.Buffer
    ) {
        let place = model.linear(linear, of: layer)
        let (dWeight, dBias) = (gradients(of: place.weight), place.bias.flatMap(gradients))
        guard dWeight != nil || dBias != nil else { return }
        engine.linearBackward(
            dWeight: dWeight, dBias: dBias?.words, dy: dy, x: x(), shape: place.shape, accumulate: accumulate)
    }

    /// Where the gradients of an operand go; nil when it is frozen.
    private func gradients(of block: ParameterBlock) -> Stored<Device.Buffer>? {
        block.gradient.map { model.gradients(at: $0) }
    }

    /// A norm's result, computed again where it was not kept.
    private func normed(
        _ result: Range<Int>, x: Range<Int>, factor: Range<Int>, weight: ParameterBlock
    ) -> Device.Buffer {
        let result = model.values(result)
        if plan.recomputation == .norms {
            engine.renormalize(
                result, x: model.values(x), rstd: model.values(factor), weight: model.vector(of: weight),
                shape: model.streamShape)
        }
        return result
    }

    /// Takes dNorm through a norm into dStream.
    private func normalize(x: Range<Int>, factor: Range<Int>, weight: ParameterBlock, addToStream: Bool) {
        engine.normalizeBackward(
            dx: dStream, addToDx: addToStream, dWeight: gradients(of: weight)?.words, dy: dNorm,
            x: model.values(x), weight: model.vector(of: weight), rstd: model.values(factor),
            shape: model.streamShape, accumulate: accumulate)
    }
}

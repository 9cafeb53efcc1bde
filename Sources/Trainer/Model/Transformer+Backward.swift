extension Transformer {
    /// The sum of the batch's cross entropies; their gradients, times `scale`, go to ``gradients``.
    ///
    /// `scale` is 1 / the number of targets of the whole step, so that a step may be taken in parts; with
    /// `accumulate` the gradients are added to what is there.
    public func lossAndGradients(_ batch: TokenBatch, scale: Float, accumulate: Bool) -> Double {
        guard let gradients else { preconditionFailure("the model was not made to be trained") }
        let indices = indices(of: batch)
        forward(indices)
        let backward = Backward(model: self, gradients: gradients, batch: indices, accumulate: accumulate)
        backward.head(scale: scale)
        for layer in (0..<configuration.layers).reversed() { backward.layer(layer) }
        backward.embedding()
        return sumOfLosses()
    }
}

/// The backward pass of one batch.
///
/// `dStream` holds the gradient of the residual stream all along.
private struct Backward<Device: Engine> {
    let model: Transformer<Device>
    let gradients: Device.Buffer
    let batch: BatchIndices<Device>
    let accumulate: Bool

    private var engine: Device { model.engine }
    private var plan: ActivationPlan { model.plan }
    private var dStream: Device.Buffer { model.values(plan.dStream) }
    private var dNorm: Device.Buffer { model.values(plan.dNorm) }

    /// Logits, losses and their gradient, some rows at a time; then through the last norm.
    func head(scale: Float) {
        let head = model.layout.head
        let width = model.configuration.hiddenSize
        model.forEachHeadBlock { rows, shape in
            let logits = model.logits(rows, shape)
            engine.crossEntropy(
                losses: model.values(plan.losses)[rows], logits: logits,
                targets: engine.slice(batch.targets, rows),
                shape: RowShape(rows: rows.count, columns: shape.outputs), gradientScale: scale)
            engine.linearBackward(
                dx: dNorm[rows.lowerBound * width..<rows.upperBound * width], dy: logits,
                weight: model.weights[head], shape: shape)
            engine.linearBackward(
                dWeight: gradients[head], dBias: nil, dy: logits, x: model.normedRows(rows), shape: shape,
                accumulate: accumulate || rows.lowerBound > 0)
        }
        normalize(
            x: plan.output, factor: plan.finalFactor, weight: model.layout.finalNorm, addToStream: false)
    }

    /// From the gradient of what leaves a layer to that of what enters it.
    func layer(_ index: Int) {
        let place = plan.layers[index]
        let norms = model.layout.layers[index]
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
        backward(.down, index, dx: dHidden, dy: dStream, x: nil)
        engine.swiGLUBackward(y: hidden, gateUp: gateUp, dy: dHidden, shape: model.hiddenShape)
        weights(.down, index, dy: dStream, x: hidden)
        backward(
            .gateUp, index, dx: dNorm, dy: gateUp,
            x: normed(
                place.feedForwardNorm, x: place.middle, factor: place.feedForwardFactor,
                weight: model.layout.layers[index].feedForwardNorm))
    }

    /// dNorm = the gradient of norm(input).
    private func attention(_ index: Int) {
        let place = plan.layers[index]
        let dQueryKeyValue = model.values(plan.dQueryKeyValue)
        let dAttention = model.values(plan.dAttention)
        let out = model.values(place.attention)
        backward(.attentionOutput, index, dx: dAttention, dy: dStream, x: out)
        engine.attentionBackward(
            dqkv: dQueryKeyValue, dOut: dAttention, qkv: model.values(place.queryKeyValue), out: out,
            lse: model.values(place.denominator), first: batch.first, shape: model.attentionShape)
        engine.rotate(
            dQueryKeyValue, cosine: model.values(plan.cosine), sine: model.values(plan.sine),
            shape: model.attentionShape, back: true)
        backward(
            .queryKeyValue, index, dx: dNorm, dy: dQueryKeyValue,
            x: normed(
                place.attentionNorm, x: place.input, factor: place.attentionFactor,
                weight: model.layout.layers[index].attentionNorm))
    }

    /// The rows of the embedding that the tokens chose.
    func embedding() {
        // A tied head has written its gradient to the same rows already.
        engine.embedBackward(
            dTable: gradients[model.layout.embedding], dOut: dStream, tokens: batch.tokens,
            shape: model.streamShape, accumulate: accumulate || model.configuration.tiedHead)
    }

    /// dx of a linear layer and, where x is given, the gradients of its weights.
    private func backward(
        _ linear: TransformerConfiguration.LinearLayer, _ layer: Int, dx: Device.Buffer, dy: Device.Buffer,
        x: Device.Buffer?
    ) {
        let place = model.linear(linear, of: layer)
        engine.linearBackward(dx: dx, dy: dy, weight: model.weights[place.weight], shape: place.shape)
        if let x { weights(linear, layer, dy: dy, x: x) }
    }

    /// The gradients of a linear layer's weights and bias.
    private func weights(
        _ linear: TransformerConfiguration.LinearLayer, _ layer: Int, dy: Device.Buffer, x: Device.Buffer
    ) {
        let place = model.linear(linear, of: layer)
        engine.linearBackward(
            dWeight: gradients[place.weight], dBias: place.bias.map { gradients[$0] }, dy: dy, x: x,
            shape: place.shape, accumulate: accumulate)
    }

    /// A norm's result, computed again where it was not kept.
    private func normed(
        _ result: Range<Int>, x: Range<Int>, factor: Range<Int>, weight: Range<Int>
    ) -> Device.Buffer {
        let result = model.values(result)
        if plan.recomputation == .norms {
            engine.renormalize(
                result, x: model.values(x), rstd: model.values(factor), weight: model.weights[weight],
                shape: model.streamShape)
        }
        return result
    }

    /// Takes dNorm through a norm into dStream.
    private func normalize(x: Range<Int>, factor: Range<Int>, weight: Range<Int>, addToStream: Bool) {
        engine.normalizeBackward(
            dx: dStream, addToDx: addToStream, dWeight: gradients[weight], dy: dNorm, x: model.values(x),
            weight: model.weights[weight], rstd: model.values(factor), shape: model.streamShape,
            accumulate: accumulate)
    }
}

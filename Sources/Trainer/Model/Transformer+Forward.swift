extension Transformer {
    /// The sum of the batch's cross entropies, in nats.
    ///
    /// `visit` is given each block of rows' logits (rows, V) before they are overwritten.
    public func loss(_ batch: TokenBatch, visit: ((Range<Int>, Device.Buffer) -> Void)? = nil) -> Double {
        let indices = indices(of: batch)
        forward(indices)
        headForward(targets: indices.targets, visit: visit)
        return sumOfLosses()
    }

    /// Computes everything up to the last norm.
    func forward(_ batch: BatchIndices<Device>) {
        let first = plan.layers.first?.input ?? plan.output
        engine.embed(
            values(first), table: weights(of: layout.embedding), tokens: batch.tokens, shape: streamShape)
        for layer in 0..<configuration.layers {
            attend(layer: layer, batch, addsLayerBefore: layer > 0)
            feedForward(layer: layer)
            contribute(layer: layer)
        }
        normalize(
            plan.finalNorm, factor: plan.finalFactor, of: plan.output, weight: layout.finalNorm,
            adding: plan.layers.last?.middle)
    }

    /// delta = attention(norm(input)), where input = the layer before's middle + its delta, if that is asked for.
    func attend(layer: Int, _ batch: BatchIndices<Device>, addsLayerBefore: Bool) {
        let place = plan.layers[layer]
        normalize(
            place.attentionNorm, factor: place.attentionFactor, of: place.input,
            weight: layout.layers[layer].attentionNorm,
            adding: addsLayerBefore ? plan.layers[layer - 1].middle : nil)
        let qkv = linear(.queryKeyValue, of: layer)
        engine.linear(
            values(place.queryKeyValue), values(place.attentionNorm), weight: weights(of: qkv.weight),
            bias: qkv.bias.map { vector(of: $0) }, shape: qkv.shape)
        engine.rotate(
            values(place.queryKeyValue), cosine: values(plan.cosine), sine: values(plan.sine),
            shape: attentionShape, back: false)
        engine.attention(
            values(place.attention), lse: values(place.denominator), qkv: values(place.queryKeyValue),
            first: batch.first, shape: attentionShape)
        let output = linear(.attentionOutput, of: layer)
        engine.linear(
            values(plan.delta), values(place.attention), weight: weights(of: output.weight),
            bias: output.bias.map { vector(of: $0) }, shape: output.shape)
    }

    /// gate and up of norm(middle), where middle = input + delta.
    func feedForward(layer: Int) {
        let place = plan.layers[layer]
        normalize(
            place.feedForwardNorm, factor: place.feedForwardFactor, of: place.middle,
            weight: layout.layers[layer].feedForwardNorm, adding: place.input)
        let gateUp = linear(.gateUp, of: layer)
        engine.linear(
            values(place.gateUp), values(place.feedForwardNorm), weight: weights(of: gateUp.weight),
            bias: gateUp.bias.map { vector(of: $0) }, shape: gateUp.shape)
    }

    /// delta = what the feed-forward layer adds to the residual stream.
    private func contribute(layer: Int) {
        let down = linear(.down, of: layer)
        engine.gatedUnit(
            values(plan.hidden), gateUp: values(plan.layers[layer].gateUp), gate: configuration.gate,
            shape: hiddenShape)
        engine.linear(
            values(plan.delta), values(plan.hidden), weight: weights(of: down.weight),
            bias: down.bias.map { vector(of: $0) }, shape: down.shape)
    }

    /// The norm of the residual stream at `stream`, which first becomes `before` + delta where that is given.
    private func normalize(
        _ result: Range<Int>, factor: Range<Int>, of stream: Range<Int>, weight: ParameterBlock,
        adding before: Range<Int>?
    ) {
        engine.normalize(
            values(result), rstd: values(factor), x: values(before ?? stream),
            addition: before == nil ? nil : (sum: values(stream), delta: values(plan.delta)),
            weight: vector(of: weight), epsilon: configuration.normEpsilon, shape: streamShape)
    }

    /// The logits and losses of all rows, some rows at a time, so that no (R, V) matrix is kept.
    private func headForward(targets: Device.Indices, visit: ((Range<Int>, Device.Buffer) -> Void)?) {
        forEachHeadBlock { rows, shape in
            let logits = self.logits(rows, shape)
            visit?(rows, logits)
            engine.crossEntropy(
                losses: values(plan.losses)[rows], logits: logits, targets: engine.slice(targets, rows),
                shape: RowShape(rows: rows.count, columns: shape.outputs), gradientScale: nil)
        }
    }

    /// Calls `body` with consecutive rows and the head's shape for them.
    func forEachHeadBlock(_ body: (Range<Int>, LinearShape) -> Void) {
        for start in stride(from: 0, to: plan.rows, by: plan.headRows) {
            let rows = start..<min(start + plan.headRows, plan.rows)
            body(
                rows,
                LinearShape(
                    rows: rows.count, inputs: configuration.hiddenSize, outputs: configuration.vocabularySize)
            )
        }
    }

    /// The logits of some rows: (rows, V).
    func logits(_ rows: Range<Int>, _ shape: LinearShape) -> Device.Buffer {
        let logits = values(plan.logits)[0..<rows.count * shape.outputs]
        engine.linear(logits, normedRows(rows), weight: weights(of: layout.head), bias: nil, shape: shape)
        return logits
    }

    /// The last norm's results for some rows: (rows, C).
    func normedRows(_ rows: Range<Int>) -> Device.Buffer {
        let width = configuration.hiddenSize
        return values(plan.finalNorm)[rows.lowerBound * width..<rows.upperBound * width]
    }

    /// The sum over all rows, in order, in double precision.
    func sumOfLosses() -> Double {
        var losses = [Float](repeating: 0, count: plan.rows)
        var span = losses.mutableSpan
        engine.download(values(plan.losses), to: &span)
        return losses.reduce(0) { $0 + Double($1) }
    }

    /// The shape of the feed-forward layer's hidden values.
    var hiddenShape: RowShape { RowShape(rows: plan.rows, columns: configuration.intermediateSize) }
}

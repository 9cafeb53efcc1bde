/// The model layer by layer, in any order and as often as one likes; no weight is copied.
///
/// What lies between two layers is the stream, (R, C). Each layer computes as it does in its own place: with its own kind of
/// attention, window and scale. Only a model of which nothing is trained can do so: its layers share the memory of one.
extension Transformer {
    /// How many values the stream has.
    var streamCount: Int { plan.output.count }

    /// Begins a batch: the stream is what its tokens are embedded as.
    func embed(_ batch: TokenBatch) {
        precondition(
            plan.layers.allSatisfy { $0.input == plan.output }, "the layers share one stream")
        load(batch)
        layout.embedding.forward(plan.output, plan.embedding, Pass(model: self))
    }

    /// Has the stream go through a layer.
    func compute(layer: Int) {
        let pass = Pass(model: self)
        let sum = layout.layers[layer].forward(plan.layers[layer], adding: nil, pass)
        pass.add(sum, into: plan.output)
    }

    /// The cross entropy of each row of the batch if the stream is what leaves the last layer; the stream stays.
    func streamLosses() -> [Float] {
        layout.finalNorm.forward(plan.output, plan.finalNorm, Pass(model: self))
        _ = headLoss()
        return rowLosses()
    }

    /// Copies the stream.
    func readStream(into values: inout MutableSpan<Float>) {
        engine.download(self.values(plan.output), to: &values)
    }

    /// Makes the stream what was copied before.
    func setStream(_ values: Span<Float>) {
        engine.upload(values, to: self.values(plan.output))
    }
}

/// What a model computes of tokens before it predicts any.
extension Transformer {
    /// What the last norm leaves of each row of the batch: (R, C).
    func lastStates(of batch: TokenBatch) -> [Float] {
        load(batch)
        forward(Pass(model: self))
        var states = [Float](repeating: 0, count: plan.finalNorm.output.count)
        var span = states.mutableSpan
        engine.download(values(plan.finalNorm.output), to: &span)
        return states
    }

    /// The cross entropy of each row whose states were computed last: (R).
    func lossesOfStates() -> [Float] {
        _ = headLoss()
        return rowLosses()
    }
}

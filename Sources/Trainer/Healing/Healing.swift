public import Formats
public import Models

/// A run of continued pre-training: a model, an optimizer and data, moved step by step.
public final class Healing<Device: Engine> {
    /// The model that is trained.
    public let model: Transformer<Device>
    /// What the run was asked to do.
    public let plan: HealingPlan
    /// Steps that are done.
    public private(set) var step = 0
    /// What was shown so far, by source.
    public var sources: [SourceProgress] { data.sources }
    /// Tokens that all steps so far have shown.
    public var tokens: Int { data.sources.reduce(0) { $0 + $1.shown } }
    private let optimizer: AdamW<Device>
    private var data: any TrainingData

    /// A run at its beginning; memory is taken here.
    ///
    /// - Throws: ``UserFacingError`` when there is not enough of it.
    public init(
        _ plan: HealingPlan, _ architecture: Architecture, layout: ParameterLayout,
        groups: GroupPlan = GroupPlan(), data: any TrainingData, on engine: Device
    ) throws(UserFacingError) {
        self.plan = plan
        self.data = data
        model = try Transformer(
            architecture, layout: layout, plan: plan.activations(architecture, layout), on: engine)
        optimizer = try AdamW(plan.optimizer, moments: plan.moments, for: layout, groups: groups, on: engine)
    }

    /// Takes one step.
    ///
    /// - Parameter isCancelled: asked between the parts of a step; true gives the step up as if it had not begun.
    /// - Returns: what it did.
    /// - Throws: ``UserFacingError`` when the loss is no number any more, the data cannot be read, or it was given up.
    public func takeStep(isCancelled: () -> Bool = { false }) throws -> StepReport {
        let (start, position) = (ContinuousClock.now, data.position)
        var batches: [TokenBatch] = []
        // The last step takes what remains, which may be less than its parts, or nothing but a text's last token.
        for _ in 0..<plan.accumulate {
            let batch = try data.next(plan.batch)
            if batch.targetCount > 0 { batches.append(batch) }
        }
        let factor = plan.schedule.factor(at: step)
        guard !batches.isEmpty else {
            step += 1
            return report(loss: 0, factor: factor, norm: 0, since: start)
        }
        let targets = batches.reduce(0) { $0 + $1.targetCount }
        for (index, batch) in batches.enumerated() {
            if index > 0, isCancelled() {
                try data.move(to: position)
                _ = model.takeLoss(targets: 1)
                throw UserFacingError.interrupted
            }
            model.backward(batch, scale: 1 / Float(max(1, targets)), accumulate: index > 0)
        }
        optimizer.step(model, step: step, factor: factor)
        // A step that made a number none has moved weights already, so the run ends; what was kept before is whole.
        let loss = model.takeLoss(targets: max(1, targets))
        let norm = optimizer.gradientNorm(on: model.engine)
        for (what, value) in [("loss", loss), ("gradient norm", norm)] where !value.isFinite {
            throw UserFacingError.notFinite(
                what: what, step: step + 1, documents: DocumentReference.list(batches.flatMap(\.documents)))
        }
        step += 1
        return report(loss: loss, factor: factor, norm: norm, since: start)
    }

    private func report(
        loss: Double, factor: Double, norm: Double, since start: ContinuousClock.Instant
    ) -> StepReport {
        StepReport(
            step: step, loss: loss, tokens: tokens, lr: plan.optimizer.rate * factor, gradNorm: norm,
            seconds: (ContinuousClock.now - start) / .seconds(1), sources: data.sources.figures)
    }

    /// Refuses to keep weights that are no numbers.
    ///
    /// - Throws: ``UserFacingError`` that names the step.
    func checkWeights() throws(UserFacingError) {
        let norm = model.engine.makeScalar()
        model.engine.gradientNorm(model.layout.trained.map { model.weights(of: $0) }, to: norm)
        guard model.engine.read(norm).isFinite else { throw .weightsNotFinite(step: step) }
    }

    /// Where the run stands, apart from what is in ``state``.
    public var progress: RunProgress { RunProgress(step: step, data: data.position) }

    /// What has to be kept of a run to go on with it: the weights and both moments, as they are.
    public var state: [(name: String, buffer: Device.Buffer, isPacked: Bool)] {
        let isPacked = plan.moments != .f32
        return [
            ("weights", model.weights, false), ("mean", optimizer.mean.storage, isPacked),
            ("square", optimizer.square.storage, isPacked), ("mean.scales", optimizer.mean.scales, false),
            ("square.scales", optimizer.square.scales, false),
        ].filter { $0.1.count > 0 }
    }

    /// Goes on from where a run stood whose ``state`` have been filled again.
    ///
    /// - Throws: ``UserFacingError`` when the data cannot be read.
    public func resume(_ progress: RunProgress) throws(UserFacingError) {
        try data.move(to: progress.data)
        step = progress.step
    }
}

/// Where a run stands.
public struct RunProgress: Codable, Sendable, Equatable {
    /// Steps that are done.
    public var step: Int
    /// Where the data stands.
    public var data: DataPosition
}

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
    /// Targets of all steps so far.
    public private(set) var tokens = 0
    private let optimizer: AdamW<Device>
    private var data: any TrainingData

    /// A run at its beginning; memory is taken here.
    ///
    /// - Throws: ``UserFacingError`` when there is not enough of it.
    public init(
        _ plan: HealingPlan, _ architecture: Architecture, layout: ParameterLayout,
        data: any TrainingData, on engine: Device
    ) throws(UserFacingError) {
        self.plan = plan
        self.data = data
        model = try Transformer(
            architecture, layout: layout, plan: plan.activations(architecture, layout), on: engine)
        optimizer = try AdamW(plan.optimizer, moments: plan.moments, for: layout, on: engine)
    }

    /// Takes one step.
    ///
    /// - Parameter isCancelled: asked between the parts of a step; true gives the step up as if it had not begun.
    /// - Returns: what it did.
    /// - Throws: ``UserFacingError`` when the loss is no number any more, the data cannot be read, or it was given up.
    public func takeStep(isCancelled: () -> Bool = { false }) throws -> StepReport {
        let clock = ContinuousClock()
        let (start, position) = (clock.now, data.position)
        var batches: [TokenBatch] = []
        for _ in 0..<plan.accumulate { batches.append(try data.next(plan.batch)) }
        let targets = batches.reduce(0) { $0 + $1.targetCount }
        for (index, batch) in batches.enumerated() {
            if index > 0, isCancelled() {
                try data.move(to: position)
                _ = model.takeLoss(targets: 1)
                throw UserFacingError.interrupted
            }
            model.backward(batch, scale: 1 / Float(max(1, targets)), accumulate: index > 0)
        }
        let factor = plan.schedule.factor(at: step)
        optimizer.step(model, step: step, factor: factor)
        // A step that made a number none has moved weights already, so the run ends; what was kept before is whole.
        let loss = model.takeLoss(targets: max(1, targets))
        let norm = optimizer.gradientNorm(on: model.engine)
        for (what, value) in [("loss", loss), ("gradient norm", norm)] where !value.isFinite {
            throw UserFacingError.notFinite(
                what: what, step: step + 1, documents: DocumentReference.list(batches.flatMap(\.documents)))
        }
        step += 1
        tokens += targets
        return StepReport(
            step: step, loss: loss, tokens: tokens, lr: plan.optimizer.rate * factor, gradNorm: norm,
            seconds: (clock.now - start) / .seconds(1))
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
    public var progress: RunProgress { RunProgress(step: step, tokens: tokens, data: data.position) }

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
        tokens = progress.tokens
    }
}

/// Where a run stands.
public struct RunProgress: Codable, Sendable, Equatable {
    /// Steps that are done.
    public var step: Int
    /// Targets of all steps so far.
    public var tokens: Int
    /// Where the data stands.
    public var data: DataPosition
}

public import Formats
public import Models

/// A stage being trained: a model, an optimizer and data, moved step by step.
public final class TrainingState<Device: Engine> {
    /// The model that is trained.
    public let model: Transformer<Device>
    /// What the stage was asked to do.
    public let plan: StagePlan
    /// Steps of the stage that are done.
    public private(set) var step = 0
    private let teacher: Teacher<Device>?
    private let distiller: RowDistiller<Device>?
    private var optimizer: AdamW<Device>
    private var guarding: StepGuard
    private let average: RunningAverage<Device>?
    private var data: any TrainingData

    /// A stage at its beginning; memory is taken here.
    ///
    /// - Throws: ``UserFacingError`` when there is not enough of it.
    public init(
        _ plan: StagePlan, _ architecture: Architecture, layout: ParameterLayout,
        groups: GroupPlan = GroupPlan(), data: any TrainingData, teacher: Teacher<Device>? = nil,
        on engine: Device
    ) throws(UserFacingError) {
        (self.plan, self.data, self.teacher) = (plan, data, teacher)
        let model = try Transformer(
            architecture, layout: layout, plan: plan.activations(architecture, layout), on: engine)
        self.model = model
        distiller = try plan.rows?.layer.map { (layer) throws(UserFacingError) in
            try RowDistiller(model, layer: layer)
        }
        optimizer = try AdamW(plan.optimizer, moments: plan.moments, for: layout, groups: groups, on: engine)
        guarding = plan.guarding
        average = try plan.averageDecay.map { (decay) throws(UserFacingError) in
            try RunningAverage(decay: decay, count: layout.trainedCount, on: engine)
        }
        setRamp(after: 0)
    }

    /// What the stage has shown so far, by source.
    public var sources: [SourceProgress] { data.sources }

    /// Takes one step, or leaves it out where its numbers are not like those before it.
    ///
    /// - Parameters:
    ///   - isCancelled: asked between the parts of a step; true gives the step up as if it had not begun.
    ///   - observe: is shown each batch that has moved the weights.
    /// - Returns: what it did.
    /// - Throws: ``UserFacingError`` when the data cannot be read, or it was given up.
    public func takeStep(
        isCancelled: () -> Bool = { false }, observe: (TokenBatch) -> Void = { _ in }
    ) throws -> StageStep {
        let (start, position) = (ContinuousClock.now, data.position)
        var batches: [TokenBatch] = []
        // The last step takes what remains, which may be less than its parts, or nothing but a text's last token.
        for _ in 0..<plan.accumulate {
            let batch = try data.next(plan.batch)
            if batch.targetCount > 0 { batches.append(batch) }
        }
        setRamp(after: step + 1)
        let factor = plan.schedule.factor(at: step)
        let rate = plan.optimizer.rate * factor
        guard !batches.isEmpty else {
            step += 1
            return StageStep(loss: 0, rate: rate, gradientNorm: 0, since: start)
        }
        let targets = batches.reduce(0) { $0 + $1.targetCount }
        teacher?.comparesHidden = step < plan.teaching?.hidden?.steps ?? 0
        var rows: RowFigures?
        for (index, batch) in batches.enumerated() {
            if let distiller {
                // Such a step has one part.
                rows = distiller.backward(batch)
                continue
            }
            if index > 0, isCancelled() {
                try data.move(to: position)
                _ = (model.takeLoss(targets: 1), teacher?.takeFigures())
                throw UserFacingError.interrupted
            }
            model.backward(
                batch, scale: 1 / Float(max(1, targets)), accumulate: index > 0, teacher: teacher)
        }
        let figures = teacher?.takeFigures()
        let hidden = plan.teaching?.hiddenLoss(of: figures) ?? 0
        var taken = StageStep(
            loss: rows?.loss ?? model.takeLoss(targets: max(1, targets)) + hidden, rate: rate,
            gradientNorm: optimizer.gradientNorm(model), since: start)
        taken.teacher = figures
        taken.rows = rows
        taken.verdict = guarding.judge(loss: taken.loss, gradientNorm: taken.gradientNorm)
        if taken.verdict == .take {
            optimizer.update(model, factor: factor)
            average?.update(with: model.weights, frozen: optimizer.frozen)
            batches.forEach(observe)
        } else {
            taken.documents = DocumentReference.list(batches.flatMap(\.documents))
        }
        step += 1
        taken.seconds = (ContinuousClock.now - start) / .seconds(1)
        return taken
    }

    /// Lets copied layers add as much as they should after some steps.
    private func setRamp(after steps: Int) {
        guard let ramp = plan.ramp else { return }
        model.setBranchShare(ramp.share(after: steps), of: ramp.layers)
    }

    /// Refuses to keep weights that are no numbers.
    ///
    /// - Throws: ``UserFacingError`` that names the step.
    func checkWeights(step: Int) throws(UserFacingError) {
        let (engine, weights) = (model.engine, model.layout.trained.map { model.weights(of: $0) })
        let scalar = engine.makeScalar()
        engine.gradientNorm(weights, to: scalar)
        if engine.read(scalar).isFinite { return }
        // The square of a finite weight may be none; the sum of all, which takes longer, is finite where they are.
        engine.set(scalar, to: 0)
        for tensor in weights { engine.addSum(of: tensor, to: scalar) }
        guard engine.read(scalar).isFinite else { throw .weightsNotFinite(step: step) }
    }

    /// Where the stage stands, apart from its weights and ``buffers``.
    var progress: StageProgress {
        StageProgress(
            step: step, data: data.position, ages: optimizer.ages, updates: optimizer.updates,
            guarding: guarding)
    }

    /// How many updates each trained operand has had, by its name.
    var ages: [String: Int] { optimizer.agesNow }

    /// What has to be kept of a stage besides the weights: the optimizer's moments, and the running average.
    var buffers: [(name: String, buffer: Device.Buffer, isPacked: Bool)] {
        optimizer.moments + (average?.buffers(of: model.layout) ?? [])
    }

    /// Makes the optimizer one that has not seen a gradient.
    func clearMoments() { optimizer.clear(on: model.engine) }

    /// Lets the running average begin as the weights are, which have been filled in.
    func beginAverage() { average?.begin(with: model.weights) }

    /// Makes the weights their running average, if there is one; nothing is trained after that.
    func takeAverage() { average?.replace(model.weights) }

    /// Goes on from where the stage stood whose weights and ``buffers`` have been filled in again.
    ///
    /// - Parameters:
    ///   - progress: where it stood.
    ///   - isBack: whether the stage itself goes back there, in which case its data stays where it is.
    /// - Throws: ``UserFacingError`` when the data cannot be read.
    func resume(_ progress: StageProgress, isBack: Bool = false) throws(UserFacingError) {
        if isBack {
            guarding.goBack(to: progress.guarding, retaking: step - progress.step - 1)
        } else {
            try data.move(to: progress.data)
            guarding = progress.guarding
        }
        step = progress.step
        setRamp(after: step)
        optimizer.resume(ages: progress.ages, updates: progress.updates)
    }

    /// Begins with the data where that of the stage before stands.
    func goOn(from position: DataPosition) throws(UserFacingError) { try data.begin(at: position) }

    /// Begins, or begins again, with the moments of another stage, which have been filled in, for operands that have been
    /// updated so often.
    func inherit(ages: [String: Int]) {
        if step > 0 { guarding.goBack(to: plan.guarding, retaking: step - 1) }
        step = 0
        optimizer.resume(ages: ages, updates: 0)
    }
}

/// Where a stage stands.
struct StageProgress: Codable, Sendable, Equatable {
    /// Steps that are done.
    var step: Int
    /// Where the data stands.
    var data: DataPosition
    /// How many updates each operand had had when the stage began, by its name; nothing for none.
    var ages: [String: Int]
    /// How many updates there were in the stage.
    var updates: Int
    /// What steps are judged by.
    var guarding: StepGuard
}

/// What one step of a stage did.
public struct StageStep: Sendable, Equatable {
    /// The mean loss of its targets before it moved the weights, in nats: their cross entropy, where no teacher says otherwise; 0
    /// where it has none.
    public let loss: Double
    /// What it is made of where there is a teacher.
    public internal(set) var teacher: TeacherFigures?
    /// The same where rows are distilled.
    public internal(set) var rows: RowFigures?
    /// The learning rate of the layers.
    public let rate: Double
    /// The norm of all gradients before clipping.
    public let gradientNorm: Double
    /// How long the step took.
    public internal(set) var seconds: Double
    /// Whether it has moved the weights, else what was found.
    public internal(set) var verdict = StepGuard.Verdict.take
    /// The documents that it was of, where it has not.
    public internal(set) var documents = ""

    init(loss: Double, rate: Double, gradientNorm: Double, since start: ContinuousClock.Instant) {
        (self.loss, self.rate, self.gradientNorm) = (loss, rate, gradientNorm)
        seconds = (ContinuousClock.now - start) / .seconds(1)
    }
}

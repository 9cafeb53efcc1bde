internal import Formats
public import Models

/// What a job takes on one device, two, four and so on, told from config.json alone.
public struct ClusterPlan: Sendable {
    /// The work of a token.
    public let work: ClusterWork
    /// What a process takes, by how many there are.
    public let needs: [ClusterNeed]
    /// The fewest devices that are enough; nil where none of them are, or it is not said how much memory one has.
    public let fitting: Int?
    /// Tokens that the run shows; nil where the data tells.
    public let tokens: Int?
    /// Sequences of a step, and tokens of one; those of the fullest stage.
    public let sequences: Int, length: Int
    /// How many devices compute: no more than there are sequences.
    public let devicesInUse: Int

    /// Looks at a job, whose data is left open.
    ///
    /// - Parameters:
    ///   - model: the model's shape.
    ///   - job: what is asked for; its teacher is a folder, which config.json is enough for.
    ///   - devices: how many there are at most.
    ///   - memory: the bytes of each; nil where that is open.
    ///   - settings: what they are and compute in.
    ///   - path: the model's folder, whose surgery.json tells which layers are copied; only asked where hidden states are compared
    ///     or the base of the rotary position embedding changes.
    /// - Throws: ``UserFacingError`` when a number can't be, or a pattern names no tensor.
    public init(
        _ model: DescribedModel, _ job: TrainingJob, devices: Int, memory: Int?, settings: ClusterSettings,
        path: String = ""
    ) throws {
        var settled = SettledValues()
        var before: StagePlan?
        var stages = try job.stageJobs.map { stage in
            try stage.checkExtent(prefix: "--")
            var plan = StagePlan(stage, &settled)
            try plan.rows?.settle(layers: model.architecture.layers.count)
            // A sequence is a snippet where rows are distilled.
            plan.length = plan.rows?.length ?? stage.length ?? min(512, model.architecture.maximumLength)
            guard (1...1 << 20).contains(plan.batch), (1...1 << 20).contains(plan.accumulate),
                plan.length >= 1
            else {
                throw UserFacingError(.request, "--batch, --accumulate and --length must be 1 or more")
            }
            plan.ropeTheta = plan.ropeTheta ?? before?.ropeTheta
            // With another base it may see longer sequences.
            let most =
                try plan.ropeTheta == nil
                ? model.architecture.maximumLength
                : PretrainedModel.blank(path).settings(of: plan, after: before).architecture.maximumLength
            guard plan.length <= most else {
                throw UserFacingError(
                    .request,
                    "--length \(plan.length) is more than the \(most) tokens that the model sees; a longer one takes another --rope-theta"
                )
            }
            before = plan
            return plan
        }
        let teacher = try job.teacher.map { try DescribedTeacher($0) }
        if let text = job.teacherHidden {
            let rule = try HiddenTeaching.Rule(text)
            guard stages[0].teaching != nil else {
                throw UserFacingError(
                    .request,
                    "teacher-hidden is of the first stage's teacher, and it has none; name one with --teacher"
                )
            }
            let sources = try HiddenTeaching.sources(of: PretrainedModel.blank(path))
            stages[0].teaching?.hidden = HiddenTeaching(rule, sources, steps: 1)
        }
        let naming = TensorNaming(model.family, names: [])
        let parameters = try ParameterLayout(model.architecture, naming: naming).parameters
        let names = parameters.map(\.name)
        for index in stages.indices where stages[index].rows != nil {
            let rows = parameters.filter { $0.role == .embedding || $0.role == .head }
            stages[index].trained = TensorSelection(train: rows.map(\.name), freeze: [])
        }
        for plan in stages {
            if let pattern = plan.trained.unmatched(by: names).first {
                throw UserFacingError(
                    .request,
                    "no tensor is called like '\(pattern)'; the first is called '\(names.first ?? "")'")
            }
        }
        let most = min(devices, stages.map { $0.batch * $0.accumulate }.min() ?? 1)
        let counts = Set((0...12).map { 1 << $0 }.filter { $0 < most } + [most]).sorted()
        needs = try counts.map { try ClusterNeed(model, teacher: teacher, stages, processes: $0, settings) }
        let enough = try memory.flatMap { memory in
            try (1...most).first {
                try ClusterNeed(model, teacher: teacher, stages, processes: $0, settings).total <= memory
            }
        }
        (fitting, devicesInUse) = (enough, most)
        let largest = stages.max { $0.batch * $0.length < $1.batch * $1.length } ?? stages[0]
        (sequences, length) = (largest.batch * largest.accumulate, largest.length)
        work = try ClusterWork(
            model, teacher: largest.teaching == nil ? nil : teacher, rows: largest.rows,
            length: largest.length,
            recomputation: largest.recomputation)
        let shown = zip(job.stageJobs, stages).map { stage, plan in
            stage.tokens ?? stage.steps.map { $0 * plan.batch * plan.accumulate * plan.length }
        }
        tokens = shown.contains(nil) ? nil : shown.compactMap(\.self).reduce(0, +)
    }

    /// How long all devices compute; nil where the data tells how much there is to do.
    ///
    /// - Parameter flops: floating-point operations that one device reaches a second.
    /// - Returns: seconds.
    public func seconds(flops: Double) -> Double? {
        tokens.map { Double($0) * work.operations / (Double(devicesInUse) * flops) }
    }
}

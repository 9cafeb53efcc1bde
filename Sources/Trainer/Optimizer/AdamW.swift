public import Formats

/// The optimizer's numbers, apart from the learning rate's course.
public struct AdamWSettings: Codable, Sendable, Equatable {
    /// The peak learning rate.
    public var rate: Double
    /// The share of it for the embedding and the output head.
    public var embeddingScale: Double
    /// How slowly the mean of the gradient follows, in 0 ..< 1.
    public var beta1: Double
    /// How slowly the mean of its square follows, in 0 ..< 1.
    public var beta2: Double
    /// Added to the root of the second moment.
    public var epsilon: Double
    /// The decay of tensors of two or more dimensions.
    public var weightDecay: Double
    /// What the norm of all gradients is clipped to; nil leaves them as they are.
    public var clip: Double?

    /// The numbers of a run.
    public init(
        rate: Double, embeddingScale: Double, beta1: Double, beta2: Double, epsilon: Double,
        weightDecay: Double,
        clip: Double?
    ) {
        self.rate = rate
        self.embeddingScale = embeddingScale
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.clip = clip
    }
}

/// Parameters that lie together, and what moves them.
public struct ParameterGroup: Sendable, Equatable {
    /// Values that are moved alike.
    struct Run: Sendable, Equatable {
        /// How many.
        var count: Int
        /// Their share of the learning rate, and their weight decay.
        var rateScale: Double, decay: Double
        /// Whether they are not moved at all.
        var isFrozen = false
    }

    /// What they are.
    public var block: ParameterBlock
    /// The values, in order.
    var runs: [Run]

    /// The groups of a model: by rules, else embedding and head at a rate of their own, decay on two or more dimensions only.
    static func groups(
        of layout: ParameterLayout, _ settings: AdamWSettings, by plan: GroupPlan = GroupPlan()
    ) -> [ParameterGroup] {
        layout.trained.map { block in
            var group = ParameterGroup(block: block, runs: [])
            let usual = Run(
                count: block.weights.count,
                rateScale: [.embedding, .head].contains(block.role) ? settings.embeddingScale : 1,
                decay: block.decays ? settings.weightDecay : 0)
            let words = block.weights.words
            for parameter in layout.parameters where parameter.isTrained && !plan.rules.isEmpty {
                guard words.contains(parameter.weights.words.lowerBound) else { continue }
                let height = max(1, parameter.shape.first ?? 1)
                let width = parameter.weights.count / height
                for run in plan.runs[parameter.name] ?? [] { group.append(run, width, usual, plan) }
            }
            if group.runs.isEmpty { group.runs = [usual] }
            return group
        }
    }

    /// Appends rows of a tensor.
    private mutating func append(_ rows: GroupPlan.Run, _ width: Int, _ usual: Run, _ plan: GroupPlan) {
        let rule = rows.rule.map { plan.rules[$0] }
        var run = usual
        run.count = rows.rows.count * width
        run.rateScale = rule?.rate ?? usual.rateScale
        run.decay = rule?.decay ?? usual.decay
        if rule?.isFrozen == true { (run.decay, run.isFrozen) = (0, true) }
        if let last = runs.last, last.isLike(run) {
            runs[runs.count - 1].count += run.count
        } else {
            runs.append(run)
        }
    }

    /// Where the values are that are not moved, from the first on.
    var frozen: [Range<Int>] {
        var start = 0
        return runs.compactMap { run in
            defer { start += run.count }
            return run.isFrozen ? start..<start + run.count : nil
        }
    }
}

extension ParameterGroup.Run {
    fileprivate func isLike(_ other: Self) -> Bool {
        rateScale == other.rateScale && decay == other.decay && isFrozen == other.isFrozen
    }
}

/// AdamW with decoupled weight decay, and clipping of the global gradient norm.
///
/// - SeeAlso: Loshchilov and Hutter, algorithm 2, <https://arxiv.org/abs/1711.05101>; computed as PyTorch does.
public struct AdamW<Device: Engine> {
    /// The mean of each gradient, and of its square.
    public let mean: Tensor<Device.Buffer>, square: Tensor<Device.Buffer>
    /// How many updates each trained operand has had before this stage, by its name; nothing for none.
    public private(set) var ages: [String: Int] = [:]
    /// How many updates there were in this stage.
    public private(set) var updates = 0
    /// The norm of all gradients of the last step, before clipping.
    private let norm: Device.Scalar
    private let settings: AdamWSettings
    private let groups: [ParameterGroup]

    /// An optimizer that has not seen a gradient.
    public init(
        _ settings: AdamWSettings, moments precision: MomentPrecision = .f32, for layout: ParameterLayout,
        groups plan: GroupPlan = GroupPlan(), on engine: Device
    ) throws(UserFacingError) {
        self.settings = settings
        groups = ParameterGroup.groups(of: layout, settings, by: plan)
        mean = try Tensor(count: layout.trainedCount, precision: precision.precision, on: engine)
        square = try Tensor(count: layout.trainedCount, precision: precision.precision, on: engine)
        norm = engine.makeScalar()
    }

    /// Goes on from the moments of an earlier optimizer, which have been filled in.
    ///
    /// - Parameters:
    ///   - ages: how many updates each operand had had when the stage began.
    ///   - updates: how many there were in the stage.
    mutating func resume(ages: [String: Int], updates: Int) { (self.ages, self.updates) = (ages, updates) }

    /// Forgets all gradients that it has seen.
    mutating func clear(on engine: Device) {
        for tensor in [mean, square] {
            engine.clear(tensor.storage)
            engine.clear(tensor.scales)
        }
        resume(ages: [:], updates: 0)
    }

    /// Where the values are that are not moved, among all that are trained.
    var frozen: [Range<Int>] {
        groups.flatMap { group in
            let start = group.block.weights.words.lowerBound
            return group.frozen.map { start + $0.lowerBound..<start + $0.upperBound }
        }
    }

    /// How many updates each trained operand has had, by its name.
    var agesNow: [String: Int] {
        groups.reduce(into: [:]) { $0[$1.block.name] = (ages[$1.block.name] ?? 0) + updates }
    }

    /// The norm of the gradients that the last backward pass has left, before clipping; waits for the device.
    ///
    /// What is frozen counts for nothing: its gradients are zero afterwards.
    public func gradientNorm(_ model: Transformer<Device>) -> Double {
        let engine = model.engine
        let gradients = gradients(of: model)
        for (group, gradient) in zip(groups, gradients) {
            for range in group.frozen { engine.scale(gradient[range], gradient[range], factor: 0) }
        }
        engine.gradientNorm(gradients, to: norm)
        return engine.read(norm)
    }

    /// Moves the model's weights by its gradients, whose norm was asked for; nothing waits for the device.
    ///
    /// `factor` is the share of the peak rate. The bias of an operand's moments is corrected by the updates that it has
    /// had itself, as PyTorch counts a parameter's steps. Frozen rows of it have no moments, also where they had some in
    /// the stage before.
    public mutating func update(_ model: Transformer<Device>, factor: Double) {
        let updates = zip(groups, gradients(of: model)).map { group, gradient in
            let range = group.block.weights.words
            let runs = group.runs.map {
                AdamWRun(
                    count: $0.count, rate: Float(settings.rate * $0.rateScale * factor),
                    decay: Float($0.decay), isFrozen: $0.isFrozen)
            }
            var update = AdamWUpdate(
                weights: model.weights(of: group.block), gradients: gradient, mean: mean[range],
                square: square[range],
                step: AdamWStep(
                    rate: runs[0].rate, beta1: Float(settings.beta1), beta2: Float(settings.beta2),
                    epsilon: Float(settings.epsilon), decay: runs[0].decay,
                    step: (ages[group.block.name] ?? 0) + self.updates + 1))
            if runs.count > 1 { update.runs = runs }
            return update
        }
        model.engine.adamW(updates, norm: norm, clip: settings.clip)
        self.updates += 1
    }

    private func gradients(of model: Transformer<Device>) -> [Tensor<Device.Buffer>] {
        groups.compactMap { $0.block.gradient.map { model.gradients(at: $0) } }
    }

    /// The moments of each trained operand, by its name: what has to be kept to go on with it.
    var moments: [(name: String, buffer: Device.Buffer, isPacked: Bool)] {
        groups.flatMap { group in
            let range = group.block.weights.words
            let parts = [("mean", mean[range]), ("square", square[range])]
            return parts.flatMap { kind, tensor in
                [
                    (
                        name: "\(kind)/\(group.block.name)", buffer: tensor.storage,
                        isPacked: tensor.precision != .f32
                    ),
                    (name: "\(kind).scales/\(group.block.name)", buffer: tensor.scales, isPacked: false),
                ]
            }
        }.filter { $0.buffer.count > 0 }
    }
}

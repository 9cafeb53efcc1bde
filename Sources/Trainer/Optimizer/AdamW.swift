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

/// Parameters that lie together and are moved by the same numbers.
public struct ParameterGroup: Sendable, Equatable {
    /// Where they lie.
    public var range: Range<Int>
    /// Their share of the learning rate.
    public var rateScale: Double
    /// Their weight decay.
    public var decay: Double

    /// The groups of a model: embedding and head at a rate of their own, decay on two or more dimensions only.
    public static func groups(of layout: ParameterLayout, _ settings: AdamWSettings) -> [ParameterGroup] {
        var groups: [ParameterGroup] = []
        for parameter in layout.parameters {
            let scale = [.embedding, .head].contains(parameter.role) ? settings.embeddingScale : 1
            let decay = parameter.shape.count > 1 ? settings.weightDecay : 0
            if let last = groups.last, last.rateScale == scale, last.decay == decay {
                groups[groups.count - 1].range = last.range.lowerBound..<parameter.range.upperBound
            } else {
                groups.append(ParameterGroup(range: parameter.range, rateScale: scale, decay: decay))
            }
        }
        return groups
    }
}

/// AdamW with decoupled weight decay, and clipping of the global gradient norm.
///
/// - SeeAlso: Loshchilov and Hutter, algorithm 2, <https://arxiv.org/abs/1711.05101>; computed as PyTorch does.
public struct AdamW<Device: Engine> {
    /// The mean of each gradient, and of its square.
    public let mean: Moment<Device.Buffer>, square: Moment<Device.Buffer>
    private let settings: AdamWSettings
    private let groups: [ParameterGroup]

    /// An optimizer that has not seen a gradient.
    public init(
        _ settings: AdamWSettings, moments precision: MomentPrecision = .f32, for layout: ParameterLayout,
        on engine: Device
    ) throws(EngineError) {
        self.settings = settings
        groups = ParameterGroup.groups(of: layout, settings)
        mean = try Moment(count: layout.count, precision: precision, on: engine)
        square = try Moment(count: layout.count, precision: precision, on: engine)
    }

    /// Moves the model's weights by its gradients and returns the norm of all gradients before clipping.
    ///
    /// `step` counts from 0; `factor` is the share of the peak rate.
    public func step(_ model: Transformer<Device>, step: Int, factor: Double) -> Double {
        guard let gradients = model.gradients else { preconditionFailure("the model has no gradients") }
        let norm = model.engine.sumOfSquares(gradients).squareRoot()
        // 1e-6: as PyTorch's clip_grad_norm_
        let kept = settings.clip.map { min(1, $0 / (norm + 1e-6)) } ?? 1
        for group in groups {
            model.engine.adamW(
                weights: model.weights[group.range], gradients: gradients[group.range],
                mean: mean[group.range],
                square: square[group.range],
                step: AdamWStep(
                    rate: Float(settings.rate * group.rateScale * factor), beta1: Float(settings.beta1),
                    beta2: Float(settings.beta2), epsilon: Float(settings.epsilon), decay: Float(group.decay),
                    step: step + 1, gradientScale: Float(kept)))
        }
        return norm
    }
}

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

/// Parameters that lie together and are moved by the same numbers.
public struct ParameterGroup: Sendable, Equatable {
    /// What they are.
    public var block: ParameterBlock
    /// Their share of the learning rate.
    public var rateScale: Double
    /// Their weight decay.
    public var decay: Double

    /// The groups of a model: embedding and head at a rate of their own, decay on two or more dimensions only.
    public static func groups(of layout: ParameterLayout, _ settings: AdamWSettings) -> [ParameterGroup] {
        layout.trained.map { block in
            ParameterGroup(
                block: block,
                rateScale: [.embedding, .head].contains(block.role) ? settings.embeddingScale : 1,
                decay: block.decays ? settings.weightDecay : 0)
        }
    }
}

/// AdamW with decoupled weight decay, and clipping of the global gradient norm.
///
/// - SeeAlso: Loshchilov and Hutter, algorithm 2, <https://arxiv.org/abs/1711.05101>; computed as PyTorch does.
public struct AdamW<Device: Engine> {
    /// The mean of each gradient, and of its square.
    public let mean: Tensor<Device.Buffer>, square: Tensor<Device.Buffer>
    /// The norm of all gradients of the last step, before clipping.
    private let norm: Device.Scalar
    private let settings: AdamWSettings
    private let groups: [ParameterGroup]

    /// An optimizer that has not seen a gradient.
    public init(
        _ settings: AdamWSettings, moments precision: MomentPrecision = .f32, for layout: ParameterLayout,
        on engine: Device
    ) throws(UserFacingError) {
        self.settings = settings
        groups = ParameterGroup.groups(of: layout, settings)
        mean = try Tensor(count: layout.trainedCount, precision: precision.precision, on: engine)
        square = try Tensor(count: layout.trainedCount, precision: precision.precision, on: engine)
        norm = engine.makeScalar()
    }

    /// Moves the model's weights by its gradients; nothing waits for the device.
    ///
    /// `step` counts from 0; `factor` is the share of the peak rate.
    public func step(_ model: Transformer<Device>, step: Int, factor: Double) {
        let engine = model.engine
        let gradients = groups.compactMap { $0.block.gradient.map { model.gradients(at: $0) } }
        engine.gradientNorm(gradients, to: norm)
        let updates = zip(groups, gradients).map { group, gradient in
            let range = group.block.weights.words
            return AdamWUpdate(
                weights: model.weights(of: group.block), gradients: gradient, mean: mean[range],
                square: square[range],
                step: AdamWStep(
                    rate: Float(settings.rate * group.rateScale * factor), beta1: Float(settings.beta1),
                    beta2: Float(settings.beta2), epsilon: Float(settings.epsilon), decay: Float(group.decay),
                    step: step + 1))
        }
        engine.adamW(updates, norm: norm, clip: settings.clip)
    }

    /// Waits for the norm of all gradients of the last step, before clipping.
    public func gradientNorm(on engine: Device) -> Double { engine.read(norm) }
}

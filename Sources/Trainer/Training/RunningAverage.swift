internal import Formats

/// The running average of trained weights: after each update it moves towards them by 1 − decay.
///
/// It begins as the weights are when the stage begins, and is of that stage's trained tensors alone.
struct RunningAverage<Device: Engine> {
    /// What is left of it after an update, from 0 to 1.
    let decay: Double
    private let values: Tensor<Device.Buffer>
    private let engine: Device

    /// An average of `count` weights, all zero.
    ///
    /// - Throws: ``UserFacingError`` when there is no memory.
    init(decay: Double, count: Int, on engine: Device) throws(UserFacingError) {
        (self.decay, self.engine) = (decay, engine)
        values = try Tensor(count: count, precision: .f32, on: engine)
    }

    /// Makes it what the weights are.
    func begin(with weights: Device.Buffer) { engine.scale(values, Tensor(weights), factor: 1) }

    /// Moves it towards the weights; frozen ones it has as they are, which a sum of shares would round.
    func update(with weights: Device.Buffer, frozen: [Range<Int>]) {
        let weights = Tensor(weights)
        engine.scale(values, values, factor: Float(decay))
        engine.add(values, values, weights, factor: Float(1 - decay))
        for range in frozen { engine.scale(values[range], weights[range], factor: 1) }
    }

    /// Makes the weights what it is.
    func replace(_ weights: Device.Buffer) { engine.scale(Tensor(weights), values, factor: 1) }

    /// What the names begin with under which it is kept.
    static var prefix: String { "average/" }

    /// What has to be kept of it, by the operands' names.
    func buffers(of layout: ParameterLayout) -> [(name: String, buffer: Device.Buffer, isPacked: Bool)] {
        layout.trained.map { (Self.prefix + $0.name, values.storage[$0.weights.words], false) }
    }
}

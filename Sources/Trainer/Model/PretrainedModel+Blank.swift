internal import Formats
internal import Models

extension PretrainedModel {
    /// A model that has only a configuration and a tokenizer: its tensors are zero until they are initialised.
    ///
    /// - Parameter folder: holds config.json and what else belongs to the model, but no weights.
    /// - Returns: the model.
    /// - Throws: ``UserFacingError``, naming the file or key.
    public static func blank(_ folder: String) throws -> PretrainedModel {
        try PretrainedModel(
            .openModelWithoutWeights(folder) { (described) throws(UserFacingError) in
                let naming = TensorNaming(described.family, names: [])
                return try ParameterLayout(described.architecture, naming: naming).parameters.map {
                    ($0.name, $0.shape)
                }
            })
    }

    /// Fills a model, all of which is trained, with what training from scratch begins with.
    public func initialize<Device: Engine>(_ transformer: Transformer<Device>, seed: UInt64) {
        let deviation = checkpoint.configuration?.json["initializer_range"]?.double ?? 0.02
        transformer.initialize(deviation: deviation, seed: seed)
    }
}

extension Transformer {
    /// Fills weights with what training from scratch begins with.
    ///
    /// Norms are one, biases zero; all else is drawn from a normal distribution of the given deviation, what
    /// writes into the residual stream from one that is √(2 · layers) times narrower (Radford et al., *GPT-2*,
    /// 2019, section 2.3).
    func initialize(deviation: Double, seed: UInt64) {
        for (index, parameter) in layout.parameters.enumerated() {
            let count = parameter.weights.count
            let values: [Float]
            switch parameter.role {
            case .norm:
                values = [Float](repeating: architecture.finalNorm.addsOne ? 0 : 1, count: count)
            case .bias, .constant: values = [Float](repeating: 0, count: count)
            case .embedding, .positions, .head, .matrix:
                let scale =
                    parameter.writesResidual
                    ? deviation / Double(2 * layout.layers.count).squareRoot() : deviation
                var normal = NormalDistribution(seed: seed &+ UInt64(index) &* 0x9E37_79B9, deviation: scale)
                values = (0..<count).map { _ in normal.next() }
            }
            engine.upload(values, to: weights(of: parameter))
        }
    }
}

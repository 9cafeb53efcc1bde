internal import Formats
internal import Models
internal import OrderedCollections

/// Noise on copied layers, so that two equal copies do not get equal gradients.
///
/// W ← (1 − x)·W + x·ε, of deviation 1/(l·√d) for the matrices that write into the residual stream and √(2/(5·d)) for
/// the others, with d the width and l the number of layers; vectors stay as they are. Source: Du et al., *Stacking Your
/// Transformers*, arXiv 2405.15319, appendix I.
enum LayerNoise {
    /// The largest share; above it the source found harm.
    static let most: Float = 0.2
}

extension Outcome {
    /// Mixes noise into the matrices of the duplicates that a plan has made.
    mutating func addNoise(_ share: Float, seed: UInt64, to plan: LayerPlan) throws(UserFacingError) {
        guard let width = checkpoint.configuration?.width else {
            throw .noWidth(path: checkpoint.path)
        }
        let writers = try ResidualWriters(of: checkpoint)
        let names = try checkpoint.layers().names
        let isDuplicate = plan.origins.map { $0 == .duplicate }
        for (name, tensor) in checkpoint.tensors {
            guard let (layer, rest) = names.parse(name), layer < isDuplicate.count, isDuplicate[layer],
                tensor.shape.count > 1, tensor.type.isFloatingPoint
            else { continue }
            let deviation =
                writers.write(rest)
                ? 1 / (Double(plan.count) * Double(width).squareRoot())
                : (2 / (5 * Double(width))).squareRoot()
            checkpoint.tensors[name] = try tensor.noised(
                NoiseRule(share: share, deviation: Float(deviation), seed: seed ^ name.stableHash))
        }
        say("noise", "\(share) of the copies' matrices, seed \(seed)")
        facts["noise"] = JSON(Double(share))
    }
}

extension String {
    /// The same number for the same letters, always (FNV-1a, 64 bits).
    fileprivate var stableHash: UInt64 {
        utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

extension UserFacingError {
    /// The configuration does not say how wide the model is.
    fileprivate static func noWidth(path: String) -> Self {
        Self(.missing, "\(path): config.json has no hidden_size, n_embd or d_model, which the noise follows")
    }
}

/// How AdamW's moments are kept between steps; a step itself computes in float32.
public enum MomentPrecision: String, Codable, CaseIterable, Sendable {
    /// Float32: eight bytes a parameter for both moments.
    case f32
    /// Bfloat16, rounded by chance: four bytes a parameter.
    case bf16
    /// Eight bits in blocks of 256 with a scale each, rounded by chance: two bytes a parameter.
    ///
    /// After Dettmers et al., *8-bit Optimizers via Block-wise Quantization*, section 2,
    /// <https://arxiv.org/abs/2110.02861>, with powers in place of their tables: a code is the square root of the
    /// first moment's share of its block's largest, and the fourth root of the second moment's.
    case int8 = "8bit"

    /// How one of them is kept.
    var precision: Precision {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .int8: .int8
        }
    }
}

/// How the gradients of the layers' matrices are kept from the backward pass to the optimizer.
///
/// Each is computed in float32; those of embedding, head, norms and biases stay in it.
public enum GradientPrecision: String, Codable, CaseIterable, Sendable {
    /// Float32: four bytes a parameter.
    case f32
    /// Bfloat16, rounded to nearest: two bytes a parameter.
    case bf16

    /// How they are kept.
    var precision: Precision { self == .f32 ? .f32 : .bf16 }
}

/// How models are merged: those of mergekit's methods that are known here, under its names.
///
/// Source: mergekit 0.1.5's `merge_methods` for what each takes and makes.
public enum MergeMethod: String, Sendable, CaseIterable {
    /// Each layer is one model's.
    case passthrough
    /// Weighted averages (Wortsman et al., arXiv 2203.05482).
    case linear
    /// Points on the arcs between two models.
    case slerp
    /// Task vectors added to a base (Ilharco et al., arXiv 2212.04089).
    case taskArithmetic = "task_arithmetic"
    /// Task vectors' largest numbers, of which those of the elected sign are added (Yadav et al., arXiv 2306.01708).
    case ties
    /// Task vectors of which numbers are dropped at random (Yu et al., arXiv 2311.03099).
    case dareLinear = "dare_linear"
    /// The same, of which those of the elected sign are added.
    case dareTies = "dare_ties"

    /// What mergekit has besides.
    static let others = [
        "arcee_fusion", "breadcrumbs", "breadcrumbs_ties", "della", "della_linear", "karcher", "model_stock",
        "multislerp", "nearswap", "nuslerp", "ram", "ramplus_tl", "sce",
    ]

    /// Whether one of the models is the base.
    var needsBase: Bool { self != .passthrough && self != .linear }

    /// Whether it adds what models differ from the base.
    var addsTaskVectors: Bool { needsBase && self != .slerp }

    /// What is said of it all, or of a slice.
    var sharedParameters: [MergeParameter] {
        switch self {
        case .passthrough: []
        case .linear: [.normalize]
        case .slerp: [.t]
        default: [.normalize, .rescale, .lambda, .int8Mask]
        }
    }

    /// What is said of a model.
    var inputParameters: [MergeParameter] {
        switch self {
        case .passthrough: [.scale]
        case .linear: [.weight]
        case .slerp: []
        default: [.weight, .density]
        }
    }

    /// The value of a parameter that nothing is said of; nil where it must be said.
    func standard(_ parameter: MergeParameter) -> Double? {
        switch parameter {
        case .weight, .t: nil
        case .scale, .density, .lambda: 1
        case .int8Mask: 0
        case .normalize: self == .linear || self == .ties ? 1 : 0
        case .rescale: self == .dareLinear || self == .dareTies ? 1 : 0
        }
    }
}

/// A parameter of a method.
enum MergeParameter: String, Sendable, CaseIterable {
    case weight, density, t, scale, lambda, normalize, rescale
    case int8Mask = "int8_mask"

    /// Whether it is true or false, kept as 1 or 0, and not a number.
    var isFlag: Bool { [.normalize, .rescale, .int8Mask].contains(self) }
}

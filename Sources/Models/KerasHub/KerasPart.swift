internal import Formats

/// A tensor of a Hugging Face model and what it is in KerasHub: which variables, and how they lie.
///
/// KerasHub multiplies from the right and keeps heads as an axis of their own, Hugging Face multiplies from the left
/// (`y = xWᵀ`) and keeps them in one axis: D is the model's width, h the heads, d a head's width.
struct KerasPart: Sendable {
    /// How the numbers lie in Hugging Face's tensor and in KerasHub's variables.
    enum Form: Sendable {
        /// The same in both.
        case same
        /// (out, in) and (in, out).
        case transposed
        /// (h·d, D) and (D, h, d), for so many heads.
        case heads(Heads)
        /// (h·d, D) and (h, D, d), as Gemma has it.
        case headsFirst(Heads)
        /// (h·d) and (h, d).
        case headBias(Heads)
        /// (D, h·d) and (h, d, D).
        case output
        /// (h·d, D) and (h, d, D): where Hugging Face does not transpose, either.
        case plainOutput
        /// (D, 3·h·d) and three of (D, h, d).
        case fused
        /// (3·h·d) and three of (h, d).
        case fusedBias
        /// (h·d + 2·kv·d, D) and (D, h, d) and two of (D, kv, d), as Phi-3 has it.
        case stackedHeads
        /// (2·out, D) and two of (D, out).
        case stacked
        /// (h·3·d, D) and three of (D, h, d), a head's query, key and value behind each other, as BLOOM has it.
        case interleaved
        /// (h·3·d) and three of (h, d).
        case interleavedBias
    }

    /// Whose heads they are.
    enum Heads: Sendable { case query, keyValue }

    /// The module that it is of.
    let module: Module
    /// Whether it is the bias, KerasHub's second variable, and not the weights.
    let isBias: Bool
    /// KerasHub's groups, inside a layer what follows its own, and their attribute `name`.
    let groups: [(path: String, title: String)]
    /// Which of the groups' variables it is.
    let variable: Int
    /// How the numbers lie.
    let form: Form
    /// Whether a model may be without it.
    let isOptional: Bool

    /// The weights of a module that is a group of KerasHub's.
    init(
        _ module: Module, _ path: String, _ title: String, variable: Int = 0, _ form: Form = .same,
        isOptional: Bool = false
    ) {
        self.init(
            module, isBias: false, [(path, title)], variable: variable, form, isOptional: isOptional)
    }

    /// The weights of a module that is several groups of KerasHub's.
    init(_ module: Module, _ groups: [(path: String, title: String)], _ form: Form) {
        self.init(module, isBias: false, groups, variable: 0, form, isOptional: false)
    }

    /// The bias of a module that is a group of KerasHub's.
    init(bias module: Module, _ path: String, _ title: String, _ form: Form = .same) {
        self.init(module, isBias: true, [(path, title)], variable: 1, form, isOptional: false)
    }

    /// The bias of a module that is several groups of KerasHub's.
    init(bias module: Module, _ groups: [(path: String, title: String)], _ form: Form) {
        self.init(module, isBias: true, groups, variable: 1, form, isOptional: false)
    }

    private init(
        _ module: Module, isBias: Bool, _ groups: [(path: String, title: String)], variable: Int,
        _ form: Form, isOptional: Bool
    ) {
        (self.module, self.isBias, self.groups) = (module, isBias, groups)
        (self.variable, self.form, self.isOptional) = (variable, form, isOptional)
    }

    /// The paths of its variables.
    func paths(in layer: String) -> [String] { groups.map { "\(layer)\($0.path)/vars/\(variable)" } }
}

/// The sizes that decide how heads are told apart.
struct KerasHeads: Sendable {
    let query: Int
    let keyValue: Int

    func count(_ heads: KerasPart.Heads) -> Int { heads == .query ? query : keyValue }
}

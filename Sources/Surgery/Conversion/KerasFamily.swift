internal import Formats

/// A family of models as KerasHub and Hugging Face have it: names, shapes and settings of the one in terms of the other.
struct KerasFamily: Sendable {
    /// KerasHub's class, as in `LlamaBackbone`.
    let backbone: String
    /// The module that has the class.
    let module: String
    /// KerasHub's group of the first layer.
    let layer: String
    /// Hugging Face's `model_type` and class.
    let modelType: String, architecture: String
    /// What stands before all of Hugging Face's names but the head's; files may leave it out.
    let prefix: String
    /// What stands before a layer's number, behind `prefix`.
    let layers: String
    /// The tensors of a layer.
    let inner: [KerasPart]
    /// The tensors outside the layers.
    let outer: [KerasPart]
    /// Settings that both have, under KerasHub's name and Hugging Face's.
    let settings: [Setting]
    /// KerasHub's name for the number of query heads.
    let heads: String
    /// What else Hugging Face's configuration says.
    let constants: [(String, JSON)]
    /// Whether KerasHub counts both halves of a gated feed-forward, and Hugging Face one.
    let countsGate: Bool
    /// Tensors of Hugging Face's files that are no weights: masks and frequencies, by the end of their name.
    let ignored: [String]

    /// What a setting is called.
    typealias Setting = (keras: String, huggingFace: String)

    /// The family of a preset or a configuration; nil when it is not known.
    static func family(of configuration: Configuration?) -> KerasFamily? {
        let name = configuration?["class_name"]?.string
        return all.first { $0.backbone == name }
            ?? (name == nil ? all.first { $0.modelType == configuration?.modelType } : nil)
    }
}

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
    /// How positions are told, and under which settings of KerasHub's.
    var positions = Positions.rotary(linear: "rope_scaling_factor", llama3: false)
    /// The width of the feed-forward part where Hugging Face has no setting for it, or leaves it out.
    var width = FeedForwardWidth.own
    /// Other settings of Hugging Face's that are the one rate of dropout.
    var dropouts: [String] = []
    /// Whether embedding and head are one where the configuration does not say.
    var tiesByDefault = false
    /// Whether KerasHub's configuration says it.
    var saysWhetherTied = false

    /// How positions are told.
    enum Positions: Sendable {
        /// By no setting: they are learned, or ALiBi's.
        case none
        /// By rotary embedding of a part of each head.
        case partialRotary
        /// By rotary embedding whose base the class has.
        case fixedRotary
        /// By rotary embedding, stretched evenly under a setting, or as Llama 3 does.
        case rotary(linear: String?, llama3: Bool)
    }

    /// How wide a feed-forward part is.
    enum FeedForwardWidth: Sendable {
        /// As both say.
        case own
        /// Four times the model's where Hugging Face does not say.
        case fourfoldByDefault
        /// Four times the model's; Hugging Face has no setting for it.
        case fourfold
    }

    /// What a setting is called.
    typealias Setting = (keras: String, huggingFace: String)

    /// Every family that can be converted: the family files have them.
    static let all: [KerasFamily] = Family.all.flatMap(\.kerasHub)

    /// KerasHub's group of a layer's attention.
    static let attention = "_self_attention_layer/"

    static let queriesKeysValues: [(path: String, title: String)] = [
        (attention + "query_dense", "query"), (attention + "key_dense", "key"),
        (attention + "value_dense", "value"),
    ]

    /// The family of a preset or a configuration; nil when it is not known.
    static func family(of configuration: Configuration?) -> KerasFamily? {
        let name = configuration?["class_name"]?.string
        return all.first { $0.backbone == name }
            ?? (name == nil ? all.first { $0.modelType == configuration?.modelType } : nil)
    }

    /// Hugging Face's name for the number of layers.
    var layerCount: String { settings.first { $0.keras == "num_layers" }?.huggingFace ?? "" }

    /// A tensor of Hugging Face's model and the layer of KerasHub's in which its variables lie.
    struct Place {
        /// What it is.
        let part: KerasPart
        /// What the paths of its variables begin with; empty outside the layers.
        let layer: String
        /// Hugging Face's name, with everything that may stand before it.
        let name: String

        /// The paths of its variables.
        var paths: [String] { part.paths(in: layer) }
    }

    /// Every tensor that a model of so many layers may have: those outside the layers, then layer by layer.
    func places(layers count: Int) -> [Place] {
        let outside = outer.map {
            Place(part: $0, layer: "", name: $0.name == "lm_head.weight" ? $0.name : prefix + $0.name)
        }
        let inside = (0..<count).flatMap { number in
            inner.map {
                Place(
                    part: $0, layer: path(ofLayer: number) + "/",
                    name: "\(prefix)\(layers)\(number).\($0.name)")
            }
        }
        return outside + inside
    }

    /// KerasHub's group of a layer, counted from the second on, as in `layers/decoder_1`.
    func path(ofLayer number: Int) -> String { number == 0 ? layer : "\(layer)_\(number)" }
}

internal import Formats

/// A class of KerasHub's models: which variables it has for the modules of a family, and what its settings mean.
///
/// A family file has those of its family.
struct KerasClass: Sendable {
    /// What it is called, as in `LlamaBackbone`.
    let name: String
    /// The folder of KerasHub's models that has it.
    let folder: String
    /// The group of the first layer.
    let layer: String
    /// Hugging Face's class.
    let architecture: String
    /// The variables of a layer.
    let inner: [KerasPart]
    /// The variables outside the layers.
    let outer: [KerasPart]
    /// Settings that both libraries have, under KerasHub's name and Hugging Face's.
    let settings: [Setting]
    /// KerasHub's name for the number of query heads.
    let heads: String
    /// What else Hugging Face's configuration says.
    let constants: [(String, JSON)]
    /// Settings of Hugging Face that are what KerasHub has one rate of dropout for, and what that is by default.
    let dropouts: (keys: [String], standard: JSON)
    /// How positions are told.
    let positions: Positions
    /// How wide the feed-forward part is.
    let width: Width
    /// Whether its settings say whether the head is the embedding.
    let saysTied: Bool

    /// What a setting is called.
    typealias Setting = (keras: String, huggingFace: String)

    /// What settings say of positions.
    enum Positions: Sendable {
        /// Nothing that has another name or form in the other library.
        case plain
        /// How much of a head turns, and the base.
        case share
        /// Nothing: all of a head turns, by the base that the family has.
        case fixed
        /// The base, and these ways to stretch the text.
        case scaled([Scaling])
    }

    /// A way to stretch the text.
    enum Scaling: Sendable, Equatable {
        /// By a factor of this name.
        case linear(String)
        /// By frequency, as Llama 3 does it.
        case llama3
    }

    /// What settings say of the feed-forward part's width.
    enum Width: Sendable {
        /// It.
        case said
        /// The width of gate and of what it gates, which are counted together.
        case withGate
        /// It; four times the model's where they do not.
        case fourfoldByDefault
        /// Nothing, in one of the libraries: it is four times the model's.
        case fourfold
    }

    init(
        _ name: String, folder: String, layer: String, architecture: String, inner: [KerasPart],
        outer: [KerasPart], settings: [Setting], heads: String = "num_query_heads",
        constants: [(String, JSON)], dropouts: (keys: [String], standard: JSON) = (["attention_dropout"], 0),
        positions: Positions, width: Width = .said, saysTied: Bool = false
    ) {
        self.name = name
        self.folder = folder
        self.layer = layer
        self.architecture = architecture
        self.inner = inner
        self.outer = outer
        self.settings = settings
        self.heads = heads
        self.constants = constants
        self.dropouts = dropouts
        self.positions = positions
        self.width = width
        self.saysTied = saysTied
    }

    /// What KerasHub calls a model of the class: `llama_backbone`.
    var defaultName: String { folder + "_backbone" }

    /// The module that has the class.
    var module: String { "keras_hub.src.models.\(folder).\(defaultName)" }

    /// Hugging Face's name for the number of layers.
    var layerCount: String { settings.first { $0.keras == "num_layers" }?.huggingFace ?? "" }

    /// The group of a layer, counted from the second on, as in `layers/decoder_1`.
    func path(ofLayer number: Int) -> String { number == 0 ? layer : "\(layer)_\(number)" }

    /// The group of a layer's attention in most classes.
    static let attention = "_self_attention_layer/"
}

/// A family of models as KerasHub and Hugging Face have it: names, shapes and settings of the one in terms of the other.
struct KerasFamily: Sendable {
    /// What Hugging Face has.
    let family: Family
    /// What KerasHub has.
    let keras: KerasClass

    /// Every family that can be converted, as often as KerasHub has classes of it.
    static let all = Family.all.flatMap { family in
        family.kerasHub.map { KerasFamily(family: family, keras: $0) }
    }

    /// The family of a preset or a configuration; nil when it is not known.
    static func family(of configuration: Configuration?) -> KerasFamily? {
        let name = configuration?["class_name"]?.string
        return all.first { $0.keras.name == name }
            ?? (name == nil ? all.first { $0.modelType == configuration?.modelType } : nil)
    }

    /// The `model_type` of what is converted.
    var modelType: String { family.modelTypes[0] }

    /// What the head's weights are called; nil when the family has no head of its own.
    var head: String? { family.rows(.head).first.map { $0.name + $0.weight } }

    /// A tensor of Hugging Face's model and the layer of KerasHub's in which its variables lie.
    struct Place {
        /// What it is.
        let part: KerasPart
        /// What the paths of its variables begin with; empty outside the layers.
        let layer: String
        /// Hugging Face's name, with everything that may stand before it.
        let name: String
        /// The same as files of a bare model have it.
        let bareName: String

        /// The paths of its variables.
        var paths: [String] { part.paths(in: layer) }
    }

    /// Every tensor that a model of so many layers may have: those outside the layers, then layer by layer.
    func places(layers count: Int) -> [Place] {
        let outside = keras.outer.map { place($0, layer: "", of: "") }
        let inside = (0..<count).flatMap { number in
            keras.inner.map {
                place($0, layer: keras.path(ofLayer: number) + "/", of: "\(family.layers)\(number).")
            }
        }
        return outside + inside
    }

    private func place(_ part: KerasPart, layer: String, of number: String) -> Place {
        guard let row = family.rows(part.module).first else {
            preconditionFailure("the table of \(family.name) has no \(part.module)")
        }
        let name = number + row.name + (part.isBias ? row.bias : row.weight)
        let prefix = part.module == .head ? "" : family.prefixes[0]
        return Place(part: part, layer: layer, name: prefix + name, bareName: name)
    }
}

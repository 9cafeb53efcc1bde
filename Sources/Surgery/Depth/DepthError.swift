public import Formats
public import Models

/// Why a model's layers can't be rearranged.
public enum DepthError: UserFacingError, Equatable {
    /// No set of layers is to be seen in the tensor names.
    case noLayers(path: String)
    /// More than one set of layers could be meant.
    case severalGroups(path: String, groups: [String])
    /// Configuration and tensors have different numbers of layers.
    case countsDiffer(path: String, key: String, configured: String, layers: LayerNames.Group)
    /// The configuration has no key that holds the number of layers.
    case noCount(path: String)
    /// The configuration is a preset's of KerasHub that can't be put into Hugging Face's terms.
    case unknownClass(path: String, name: String)
    /// The plan is for a model with another number of layers.
    case planned(path: String, for: Int, found: Int)
    /// The user says how many layers the model has, and it has others.
    case from(path: String, asked: Int, found: Int)
    /// A key of the configuration can't say what the result is.
    case key(path: String, key: String, value: String, reason: String)
    /// The layers are not of one kind, and nothing known says which is which.
    case kinds(path: String, layer: Int, other: Int, difference: String)

    /// A wrong number of layers is the command line's fault, everything else the input's.
    public var fault: Fault {
        switch self {
        case .planned, .from: .usage
        default: .input
        }
    }

    /// One sentence with file, key and numbers.
    public var description: String {
        switch self {
        case .noLayers(let path):
            "\(path): no layers are to be seen in the tensor names; names like model.layers.0.… to "
                + "model.layers.31.… without a gap are expected"
        case .severalGroups(let path, let groups):
            "\(path): the tensor names show several sets of layers (\(groups.joined(separator: ", "))), and the "
                + "configuration does not tell which of them is the model; encoder-decoder models are not supported"
        case .countsDiffer(let path, let key, let configured, let layers):
            "\(path): config.json says \(key) is \(configured), but the tensors have \(layers.count) layers "
                + "(\(layers.names.title(of: 0)) to \(layers.names.title(of: layers.count - 1))); one of the two files belongs to another model"
        case .noCount(let path):
            "\(path): config.json has no number of layers (num_hidden_layers, n_layer, n_layers or num_layers)"
        case .unknownClass(let path, let name):
            "\(path) is a preset of KerasHub's class \(name), which is not known here with these settings; save it with "
                + "KerasHub's export_to_transformers first"
        case .planned(let path, let planned, let found):
            "\(path) has \(found) layers, and the plan is for \(planned)"
        case .from(let path, let asked, let found):
            "\(path) has \(found) layers, not \(asked); give --from \(found), or leave --from out"
        case .key(let path, let key, let value, let reason):
            "\(path): config.json has \(key) = \(value), which can't follow the new layers: \(reason)"
        case .kinds(let path, let layer, let other, let difference):
            "\(path): layers \(layer) and \(other) are not of one kind (\(difference)), and no key of config.json "
                + "that is known says which layer is of which"
        }
    }
}

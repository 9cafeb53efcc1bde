package import Formats
package import Models

// Why a model's layers can't be rearranged.
extension UserFacingError {
    /// No set of layers is to be seen in the tensor names.
    package static func noLayers(path: String) -> Self {
        Self(
            .missing,
            "\(path): no layers are to be seen in the tensor names; names like model.layers.0.… to "
                + "model.layers.31.… without a gap are expected")
    }

    /// Some numbers between the layers' have no tensors.
    package static func missingLayers(path: String, prefix: String, missing: [Int], found: [Int]) -> Self {
        Self(
            .inconsistent,
            "\(path): the tensor names show layers \(prefix)\(ranges(found)), but no \(prefix)\(ranges(missing)); "
                + "download what is missing, or number the layers from 0 without a gap"
        )
    }

    /// Numbers as runs, as in 0-3, 7.
    private static func ranges(_ numbers: [Int]) -> String {
        var runs: [ClosedRange<Int>] = []
        for number in numbers {
            if let last = runs.last, last.upperBound + 1 == number {
                runs[runs.count - 1] = last.lowerBound...number
            } else {
                runs.append(number...number)
            }
        }
        let words = runs.prefix(8).map {
            $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
        }
        return words.joined(separator: ", ") + (runs.count > 8 ? ", …" : "")
    }

    /// More than one set of layers could be meant.
    package static func severalGroups(path: String, groups: [String]) -> Self {
        Self(
            .unsupported,
            "\(path): the tensor names show several sets of layers (\(groups.joined(separator: ", "))), and the "
                + "configuration does not tell which of them is the model; encoder-decoder models are not supported"
        )
    }

    /// Configuration and tensors have different numbers of layers.
    package static func countsDiffer(path: String, key: String, configured: String, layers: LayerNames.Group)
        -> Self
    {
        Self(
            .inconsistent,
            "\(path): config.json says \(key) is \(configured), but the tensors have \(layers.count) layers "
                + "(\(layers.names.title(of: 0)) to \(layers.names.title(of: layers.count - 1))); one of the two files belongs to another model"
        )
    }

    /// The configuration has no key that holds the number of layers.
    package static func noLayerCount(path: String) -> Self {
        Self(
            .missing,
            "\(path): config.json has no number of layers (num_hidden_layers, n_layer, n_layers or num_layers)"
        )
    }

    /// The configuration is a preset's of KerasHub that can't be put into Hugging Face's terms.
    package static func unknownKerasClass(path: String, name: String) -> Self {
        Self(
            .unsupported,
            "\(path) is a preset of KerasHub's class \(name), which is not known here with these settings; save it with "
                + "KerasHub's export_to_transformers first")
    }

    /// The plan is for a model with another number of layers.
    package static func planned(path: String, for planned: Int, found: Int) -> Self {
        Self(
            .request,
            "\(path) has \(found) layers, and the plan is for \(planned)")
    }

    /// The user says how many layers the model has, and it has others.
    package static func otherLayerCount(path: String, asked: Int, found: Int) -> Self {
        Self(
            .request,
            "\(path) has \(found) layers, not \(asked); give --from \(found), or leave --from out")
    }

    /// A key of the configuration can't say what the result is.
    package static func unfollowableKey(
        path: String, file: String = Configuration.fileName, key: String, value: String, reason: String
    ) -> Self {
        Self(
            .unsupported,
            "\(path): \(file) has \(key) = \(value), which can't follow the new layers: \(reason)")
    }

    /// The layers are not of one kind, and nothing known says which is which.
    package static func mixedLayers(path: String, layer: Int, other: Int, difference: String) -> Self {
        Self(
            .unsupported,
            "\(path): layers \(layer) and \(other) are not of one kind (\(difference)), and no key of config.json "
                + "that is known says which layer is of which")
    }
}

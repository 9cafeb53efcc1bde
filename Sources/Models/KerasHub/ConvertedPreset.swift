public import Formats
internal import OrderedCollections

/// A preset of KerasHub, the model that Hugging Face would have of it, and the way back.
///
/// Both are the same numbers; nothing is read before one of the two is.
public struct ConvertedPreset: Sendable {
    /// The preset as it was opened.
    public let preset: Checkpoint
    /// The model in Hugging Face's terms; its manifest, too.
    public let model: Checkpoint
    private let heads: KerasHeads
    /// The places of the tensors by their names.
    private let places: [String: KerasFamily.Place]

    /// Converts a preset; nil when the model is none, or of a family that is not known.
    ///
    /// - Throws: ``ConversionError`` when weights and configuration do not belong together.
    public init?(_ preset: Checkpoint) throws(ConversionError) {
        guard preset.structure?.layout == .keras3, preset.configuration?["class_name"] != nil,
            let family = KerasFamily.family(of: preset.configuration)
        else { return nil }
        self.preset = preset
        model = try preset.asHuggingFace(family)
        heads = try model.heads(of: family)
        let count = preset.configuration?["config"]?["num_layers"]?.int ?? 0
        places = Dictionary(family.places(layers: count).map { ($0.name, $0) }) { first, _ in first }
    }

    /// The preset with other numbers in some of its tensors; all else is as it was opened.
    ///
    /// - Parameter tensors: the tensors by Hugging Face's names, in the shapes that ``model`` has.
    /// - Returns: the preset, not written yet.
    /// - Throws: ``TensorError`` when a tensor has another shape.
    public func preset(
        with tensors: [String: TensorExpression]
    ) throws(TensorError) -> Checkpoint {
        var result = preset
        for (name, tensor) in tensors {
            guard let place = places[name] else { continue }
            for (path, variable) in zip(place.paths, try place.part.variables(of: tensor, heads: heads)) {
                result.tensors[path] = variable
            }
        }
        return result
    }
}

extension Configuration {
    /// The configuration that Hugging Face would have of a preset of KerasHub; any other is returned as it is.
    ///
    /// - Parameter path: what error messages call the model.
    /// - Returns: the configuration.
    /// - Throws: ``ConversionError`` for settings that Hugging Face's class does not have.
    public func asHuggingFace(path: String) throws(ConversionError) -> Configuration {
        guard self["class_name"] != nil, let family = KerasFamily.family(of: self) else { return self }
        return try family.huggingFace(self, model: path)
    }
}

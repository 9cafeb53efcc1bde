public import Formats
internal import OrderedCollections

/// The door through which a model comes in and goes out.
///
/// Inside, every model speaks Hugging Face's terms: names, shapes, configuration, tokenizer. A preset of KerasHub is
/// put into them when it is opened, and goes back when it is written:
///
///     let model = try Checkpoint.openModel("presets/llama")
///     let deep = try model.depthUpScaled(DepthUpScaling(to: 48)).checkpoint
///     try CheckpointWriter().write(deep, to: "presets/llama-48")
///
/// Nothing but headers and the tokenizer is read for that, and a tensor that stays what it is stays a plain copy.
extension Checkpoint {
    /// Opens a model in Hugging Face's terms.
    ///
    /// - Parameter path: a folder, or a file of weights.
    /// - Returns: the model; nothing but headers and the tokenizer is read.
    /// - Throws: ``UserFacingError`` that says what is wrong with which file.
    public static func openModel(_ path: String) throws(UserFacingError) -> Checkpoint {
        let checkpoint = try open(path)
        return try checkpoint.asHuggingFace()
    }

    /// Opens a model that has only a configuration and a tokenizer, in Hugging Face's terms: every tensor is zero.
    ///
    /// - Parameters:
    ///   - folder: holds config.json and what else belongs to the model, but no weights.
    ///   - shapes: the tensors that such a model has, by name.
    /// - Returns: the model, which is written as what the configuration is of: a preset of KerasHub, or Hugging Face's.
    /// - Throws: ``UserFacingError`` naming the file or key.
    public static func openModelWithoutWeights(
        _ folder: String,
        shapes: (DescribedModel) throws(UserFacingError) -> [(name: String, shape: [Int])]
    ) throws(UserFacingError) -> Checkpoint {
        var model = try openWithoutWeights(folder)
        guard let own = model.configuration else { throw .noFamily(path: folder) }
        let configuration = try own.asHuggingFace(path: folder)
        model.configuration = configuration
        for (name, shape) in try shapes(DescribedModel(configuration, path: folder)) {
            model.tensors[name] = try .zeros(configuration.elementType ?? .f32, shape: shape)
        }
        if configuration == own { return model }
        // What lies beside a preset's configuration is KerasHub's already.
        let files = model.auxiliaryFiles
        model.auxiliaryFiles = []
        var preset = try model.converted(to: .hdf5)
        preset.configuration = own
        preset.auxiliaryFiles =
            files
            + preset.auxiliaryFiles.filter { made in
                !files.contains { $0.name == made.name }
            }
        return try preset.asHuggingFace()
    }

    /// The model in Hugging Face's terms.
    ///
    /// Whatever has no counterpart there stays as it is: presets of a class that is not known, or with settings that
    /// Hugging Face's class does not have, and models that are no preset.
    ///
    /// - Returns: the model, which goes back to the preset's terms when it is written.
    /// - Throws: ``UserFacingError`` when weights and configuration of a preset do not belong together.
    public func asHuggingFace() throws(UserFacingError) -> Checkpoint {
        guard let family = presetFamily, family.obstacle(in: self) == nil else { return self }
        var model = try asHuggingFace(family)
        model.format = .library(KerasHubForm(preset: self, model: model, family: family))
        return model
    }

    /// The family of a preset as KerasHub wrote it; nil when the model is none, or its class is not known.
    var presetFamily: KerasFamily? {
        guard format.structure?.layout == .keras3, configuration?["class_name"] != nil else { return nil }
        return KerasFamily.family(of: configuration)
    }

    /// The preset that the model was opened from; itself when it was opened from none.
    var openedPreset: Checkpoint {
        guard case .library(let form) = format, let form = form as? KerasHubForm else { return self }
        return form.preset
    }
}

extension Configuration {
    /// The configuration that Hugging Face would have of a preset of KerasHub; any other is returned as it is.
    ///
    /// - Parameter path: what error messages call the model.
    /// - Returns: the configuration.
    /// - Throws: ``UserFacingError`` for settings that Hugging Face's class does not have.
    public func asHuggingFace(path: String) throws(UserFacingError) -> Configuration {
        guard self["class_name"] != nil, let family = KerasFamily.family(of: self) else { return self }
        return try family.huggingFace(self, model: path)
    }
}

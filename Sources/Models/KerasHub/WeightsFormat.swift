public import Formats

/// The format that a model's weights are written in.
public enum WeightsFormat: String, Codable, Sendable, CaseIterable {
    /// As Hugging Face writes them.
    case safetensors
    /// As Keras writes them.
    case hdf5
}

extension Checkpoint {
    /// The model in files of another format.
    ///
    /// A model of a family that both KerasHub and Hugging Face have gets the other's names, shapes and configuration;
    /// any other keeps its own names.
    ///
    /// - Parameter format: the format to write; one that the model has already changes nothing.
    /// - Returns: the result, not written yet.
    /// - Throws: ``UserFacingError`` when the model is not what its configuration says.
    public func converted(to format: WeightsFormat) throws(UserFacingError) -> Checkpoint {
        var result = self
        switch (format, self.format) {
        case (.safetensors, .safetensors), (.hdf5, .hdf5), (.hdf5, .library): return self
        case (.safetensors, .library):
            try checkPresetTokenizer()
            result.format = .safetensors
            return result
        case (.safetensors, .hdf5):
            if let family = presetFamily {
                try checkPresetTokenizer()
                return try asHuggingFace(family)
            }
            result.format = .safetensors
            result.metadata = ["format": "pt"]
            return result
        case (.hdf5, .safetensors):
            if let family = try kerasFamily() { return try asKerasHub(family) }
            result.format = .hdf5(HDF5Structure(layout: .plain, fileName: "model.h5"))
            result.metadata = [:]
            return result
        }
    }
}

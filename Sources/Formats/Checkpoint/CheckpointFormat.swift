/// How a model's weights are written.
public enum CheckpointFormat: Sendable {
    /// As Hugging Face writes them.
    case safetensors
    /// As Keras and TensorFlow write them: with groups and attributes, by which tensors are found again.
    case hdf5(HDF5Structure)
    /// As another library has the model; it is held in Hugging Face's terms, and goes back when it is written.
    case library(any StoredForm)

    /// What of HDF5 files is not tensors; nil in every other format.
    ///
    /// Setting makes it a format of HDF5 files, or with nil safetensors.
    public var structure: HDF5Structure? {
        get { if case .hdf5(let structure) = self { structure } else { nil } }
        set { self = newValue.map { .hdf5($0) } ?? .safetensors }
    }
}

/// The way back from Hugging Face's terms to those of the library that a model was opened from.
public protocol StoredForm: Sendable {
    /// What people call the library.
    var library: String { get }

    /// The model as the library's files have it.
    ///
    /// - Throws: ``UserFacingError`` when the library has no place for what the model became.
    func stored(_ model: Checkpoint) throws(UserFacingError) -> Checkpoint
}

extension Checkpoint {
    /// The model as its files have it; ``CheckpointWriter`` writes this.
    ///
    /// - Throws: ``UserFacingError`` when its library has no place for what it became.
    public func stored() throws(UserFacingError) -> Checkpoint {
        guard case .library(let form) = format else { return self }
        return try form.stored(self)
    }
}

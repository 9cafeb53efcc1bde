/// A file of weights in whatever format, its headers read and checked.
struct WeightsFile: Sendable {
    /// The file, open.
    let file: InputFile
    /// What it holds, in order.
    let tensors: [any TensorStorage]
    /// The free text that came along.
    let metadata: [String: String]
    /// What of an HDF5 file is not tensors; nil for safetensors.
    let structure: HDF5Structure?

    /// Opens a file, and tells its format by its first bytes.
    ///
    /// - Throws: ``UserFacingError`` that says what is wrong with it.
    init(path: String) throws(UserFacingError) {
        let isHDF5: Bool
        file = try InputFile(path: path)
        isHDF5 = try HDF5File.isHDF5(file)
        if isHDF5 {
            let weights = try HDF5Weights(HDF5File(file))
            (tensors, structure) = (weights.tensors, weights.structure)
            metadata = [:]
        } else {
            let safetensors = try SafetensorsFile(file)
            (tensors, metadata) = (safetensors.tensors, safetensors.header.metadata)
            structure = nil
        }
    }

    /// Suffixes of files that hold HDF5.
    static let hdf5Suffixes: Set<String> = ["h5", "hdf5"]
}

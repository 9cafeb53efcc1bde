/// Makes tensors again from their provenance: the files that a manifest names, opened.
public struct ProvenanceResolver: Sendable {
    private let files: [WeightsFile]
    private let tensors: [[String: any TensorStorage]]

    /// Opens the sources of a result.
    ///
    /// - Parameters:
    ///   - manifest: the result's manifest.
    ///   - folder: the result's folder, from which the manifest's paths lead.
    ///   - source: where the files are now; nil when they are where the manifest says.
    /// - Throws: ``UserFacingError`` when one is missing, not valid or of another size.
    public init(_ manifest: Manifest, of folder: String, source: String? = nil) throws(UserFacingError) {
        var files: [WeightsFile] = []
        for listed in manifest.sources {
            let file = try WeightsFile(path: Self.path(of: listed, beside: folder, source: source))
            guard file.file.size == listed.bytes else {
                throw .changedSource(file: file.file.path, found: file.file.size, expected: listed.bytes)
            }
            files.append(file)
        }
        self.files = files
        checksums = manifest.sources.map(\.sha256)
        tensors = files.map { file in
            Dictionary(file.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// The sources, in the order in which provenances count them.
    public var sourceFiles: [InputFile] { files.map(\.file) }

    /// The checksums that the manifest has of them.
    package let checksums: [String?]

    /// What a provenance makes; nil when it needs a computation that a manifest can't describe.
    ///
    /// - Parameters:
    ///   - provenance: what a tensor was made from.
    ///   - tensor: that tensor's name, for messages.
    /// - Returns: the tensor as it should be.
    /// - Throws: ``UserFacingError`` when the provenance does not fit the sources.
    public func expression(
        of provenance: Provenance, tensor: String
    ) throws(UserFacingError) -> TensorExpression? {
        try provenance.replacingLeaves { (leaf, described) throws(UserFacingError) in
            switch leaf {
            case .computed: return nil
            case .copied(let place, let name, let offset):
                guard files.indices.contains(place) else {
                    throw .unknownSource(of: "tensor '\(tensor)'", file: place)
                }
                let path = files[place].file.path
                guard let found = tensors[place][name], found.origin?.offset == offset,
                    let expression = try? TensorExpression.stored(found)
                else { throw .missingSourceTensor(file: path, tensor: name, offset: offset) }
                guard found.type == described.type, found.shape == described.shape else {
                    throw .changedSourceTensor(
                        file: path, found: expression.summary, expected: described.summary)
                }
                return expression
            }
        }
    }

    private static func path(of listed: Manifest.Source, beside folder: String, source: String?) -> String {
        guard let source else {
            return listed.path.hasPrefix("/") ? listed.path : Path.join(folder, listed.path)
        }
        return FileSystem.kind(of: source) == .folder ? Path.join(source, Path.name(listed.path)) : source
    }
}

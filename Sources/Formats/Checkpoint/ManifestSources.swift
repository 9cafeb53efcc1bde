/// The files that a manifest's recipes take tensors from, opened.
public struct ManifestSources: Sendable {
    private let files: [WeightsFile]
    private let checksums: [String?]
    private let tensors: [[String: any TensorStorage]]

    /// Opens the sources of a result.
    ///
    /// - Parameters:
    ///   - manifest: the result's manifest.
    ///   - folder: the result's folder, from which the manifest's paths lead.
    ///   - source: where the files are now; nil when they are where the manifest says.
    /// - Throws: ``ManifestError`` when one is missing, not valid or of another size.
    public init(_ manifest: Manifest, of folder: String, source: String? = nil) throws(ManifestError) {
        var files: [WeightsFile] = []
        for listed in manifest.sources {
            let file: WeightsFile
            do {
                file = try WeightsFile(path: Self.path(of: listed, beside: folder, source: source))
            } catch {
                throw .source(error)
            }
            guard file.file.size == listed.bytes else {
                throw .changed(file: file.file.path, found: file.file.size, expected: listed.bytes)
            }
            files.append(file)
        }
        self.files = files
        checksums = manifest.sources.map(\.sha256)
        tensors = files.map { file in
            Dictionary(file.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// The sources, in the order in which recipes count them.
    public var sourceFiles: [SourceFile] { files.map(\.file) }

    /// Begins to compare the sources with the checksums that the manifest has of them, on a thread of its own.
    package func checkSources() -> SourceCheck {
        SourceCheck(zip(sourceFiles, checksums).compactMap { file, sum in sum.map { (file, $0) } })
    }

    /// What a recipe makes; nil when it needs a computation that a manifest can't describe.
    ///
    /// - Parameters:
    ///   - recipe: how a tensor was made.
    ///   - tensor: that tensor's name, for messages.
    /// - Returns: the tensor as it should be.
    /// - Throws: ``ManifestError`` when the recipe does not fit the sources.
    public func expression(of recipe: Recipe, tensor: String) throws(ManifestError) -> TensorExpression? {
        switch recipe {
        case .computed: return nil
        case .copied(let place, let name, let offset):
            return try stored(place, name, offset, tensor: tensor)
        case .zeroed(let type, let shape):
            return try follow(tensor) { () throws(TensorError) in try .zeros(type, shape: shape) }
        case .joined(let recipes):
            var parts: [TensorExpression] = []
            for recipe in recipes {
                guard let part = try expression(of: recipe, tensor: tensor) else { return nil }
                parts.append(part)
            }
            guard !parts.isEmpty else { return nil }
            return try follow(tensor) { () throws(TensorError) in try .joined(parts) }
        case .rows(let range, let whole):
            guard let original = try expression(of: whole, tensor: tensor) else { return nil }
            return try follow(tensor) { () throws(TensorError) in try original.rows(range) }
        case .cast(let type, let whole):
            guard let original = try expression(of: whole, tensor: tensor) else { return nil }
            return try follow(tensor) { () throws(TensorError) in try original.cast(to: type) }
        case .transposed(let whole):
            guard let original = try expression(of: whole, tensor: tensor) else { return nil }
            return try follow(tensor) { () throws(TensorError) in try original.transposed() }
        case .derived(let rule, let whole):
            guard let original = try expression(of: whole, tensor: tensor) else { return nil }
            return try follow(tensor) { () throws(TensorError) in try original.derived(rule) }
        case .reshaped(let shape, let whole):
            guard let original = try expression(of: whole, tensor: tensor) else { return nil }
            return try follow(tensor) { () throws(TensorError) in try original.reshaped(to: shape) }
        }
    }

    private func stored(
        _ place: Int, _ name: String, _ offset: Int, tensor: String
    ) throws(ManifestError) -> TensorExpression {
        guard files.indices.contains(place) else { throw .unknownSource(tensor: tensor, file: place) }
        guard let found = tensors[place][name], found.origin?.offset == offset else {
            throw .missing(file: files[place].file.path, tensor: name)
        }
        return try follow(tensor) { () throws(TensorError) in try .stored(found) }
    }

    private func follow(
        _ tensor: String, _ body: () throws(TensorError) -> TensorExpression
    ) throws(ManifestError) -> TensorExpression {
        do { return try body() } catch { throw .recipe(tensor: tensor, error) }
    }

    private static func path(of listed: Manifest.Source, beside folder: String, source: String?) -> String {
        guard let source else {
            return listed.path.hasPrefix("/") ? listed.path : Path.join(folder, listed.path)
        }
        return Folder.kind(of: source) == .folder ? Path.join(source, Path.name(listed.path)) : source
    }
}
